// acsauth on Azure Functions Flex Consumption, with a managed identity everywhere
// and no key or secret in any setting. infra/azuredeploy.json is this file as ARM
// JSON, for the portal: after a change, `go test ./infra -update` writes it anew.

targetScope = 'resourceGroup'

@description('Stands in the name of each resource.')
@minLength(2)
@maxLength(32)
param name string

@description('Region; it must offer Flex Consumption.')
param location string = resourceGroup().location

@description('Application (client) id of the API\'s registration in Entra ID.')
@minLength(36)
param apiClientId string

@description('Tenants whose users may call, comma-separated.')
param tenantIds string = tenant().tenantId

@description('Client applications that may call, comma-separated. Empty: any application of the tenants.')
param allowedClientIds string = ''

@description('Origins of browser clients, comma-separated, such as https://app.example.com.')
param corsOrigins string = ''

@description('Endpoint of an ACS resource that there is already, https://<name>.communication.azure.com. Give the identity a role on it. Empty: one is made.')
param acsEndpoint string = ''

@description('Where a newly made ACS resource keeps its data.')
param acsDataLocation string = 'Europe'

@description('Role on a newly made ACS resource, by its id: Communication and Email Service Owner.')
param acsRoleId string = '09976791-48a7-449e-bb21-39d1a415f350'

@description('Further app settings by name, as in the README. None of them may be a secret.')
param settings object = {}

@description('How often the data is kept. The mappings can\'t be had again from anywhere else.')
@allowed(['Standard_ZRS', 'Standard_GZRS', 'Standard_GRS', 'Standard_LRS'])
param storageSku string = 'Standard_ZRS'

@description('Keeps the storage account from being deleted. To delete everything, remove the lock first.')
param deleteLock bool = true

@description('Memory of an instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemory int = 512

@description('Requests that one instance answers at once.')
@minValue(1)
@maxValue(1000)
param instanceConcurrency int = 100

@description('Most instances there may be.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 100

@description('Instances that are kept ready, against cold starts; they are billed all the time.')
@minValue(0)
param alwaysReadyInstances int = 0

@description('Who gets mail when an alert fires. Empty: alerts show in the portal alone.')
param alertEmail string = ''

@description('Address of a release\'s zip to deploy. Empty: deploy with azd, func or az.')
param packageUri string = ''

var token = uniqueString(resourceGroup().id, name)
var packageContainer = 'app-package'
var tableName = 'identities'
var roles = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${name}-${token}'
  location: location
}

resource acs 'Microsoft.Communication/communicationServices@2026-03-18' = if (empty(acsEndpoint)) {
  name: 'acs-${name}-${token}'
  location: 'global'
  properties: {
    dataLocation: acsDataLocation
    disableLocalAuth: true
  }
}

resource storage 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: 'st${token}'
  location: location
  kind: 'StorageV2'
  sku: {
    name: storageSku
  }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
  parent: storage
  name: 'default'
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: packageContainer
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2026-04-01' = {
  parent: storage
  name: 'default'
}

resource table 'Microsoft.Storage/storageAccounts/tableServices/tables@2026-04-01' = {
  parent: tables
  name: tableName
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'keep-mappings'
  scope: storage
  properties: {
    level: 'CanNotDelete'
    notes: 'The table holds which ACS identity belongs to which user. ACS can\'t list identities.'
  }
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: 'log-${name}-${token}'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
    features: {
      disableLocalAuth: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${name}-${token}'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}-${token}'
  location: location
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${name}-${token}'
  location: location
  kind: 'functionapp,linux'
  tags: {
    'azd-service-name': 'api'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identity.id
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReadyInstances == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyInstances }]
        triggers: {
          http: {
            perInstanceConcurrency: instanceConcurrency
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      cors: {
        allowedOrigins: empty(corsOrigins) ? [] : split(corsOrigins, ',')
      }
      appSettings: map(items(union({
        // What the Functions host reads.
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: identity.properties.clientId
        AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
        APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
        // What the service reads.
        AZURE_CLIENT_ID: identity.properties.clientId
        ENTRA_TENANT_ID: tenantIds
        ENTRA_CLIENT_ID: apiClientId
        ENTRA_ALLOWED_CLIENT_IDS: allowedClientIds
        ACS_ENDPOINT: empty(acsEndpoint) ? 'https://${acs.properties.hostName}' : acsEndpoint
        TABLES_ENDPOINT: storage.properties.primaryEndpoints.table
        TABLES_TABLE_NAME: tableName
      }, settings)), setting => {
        name: setting.key
        value: setting.value
      })
    }
  }
  dependsOn: [
    packages
    packagesRole
    insightsRole
  ]
}

// Nobody signs in to the deployment endpoints with a password.
resource noPasswordDeployment 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

resource noPasswordFTP 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

// The host keeps its leases, its keys and the package in the account's blobs.
resource packagesRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(storage.id, identity.id, roles.blobDataOwner)
  scope: storage
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataOwner)
  }
}

resource tableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(table.id, identity.id, roles.tableDataContributor)
  scope: table
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableDataContributor)
  }
}

resource insightsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, identity.id, roles.monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.monitoringMetricsPublisher)
  }
}

resource acsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (empty(acsEndpoint)) {
  name: guid(acs.id, identity.id, acsRoleId)
  scope: acs
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acsRoleId)
  }
}

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: 'ag-${name}-${token}'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: 'acsauth'
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

resource failuresAlert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-failures-${name}-${token}'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'acsauth answers with 5xx'
    description: 'More than 5 requests in 5 minutes failed. docs/troubleshooting.md tells what each code means.'
    severity: 2
    enabled: true
    autoMitigate: true
    skipQueryValidation: true
    scopes: [workspace.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      allOf: [
        {
          query: 'AppRequests | where toint(ResultCode) >= 500'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 5
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(alertEmail) ? [] : [mail.id]
    }
  }
}

resource erasuresAlert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-erasures-${name}-${token}'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'acsauth can\'t finish erasures'
    description: 'Identities that were to be erased are still there long after. docs/operations.md tells what to do.'
    severity: 2
    enabled: true
    autoMitigate: true
    skipQueryValidation: true
    scopes: [workspace.id]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: 'AppTraces | where Message has "swept noted erasures" | where toint(parse_json(Message).overdue) > 0'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(alertEmail) ? [] : [mail.id]
    }
  }
}

resource package 'Microsoft.Web/sites/extensions@2025-03-01' = if (!empty(packageUri)) {
  parent: app
  name: 'onedeploy'
  #disable-next-line BCP187
  properties: {
    packageUri: packageUri
    remoteBuild: false
  }
}

output AZURE_FUNCTION_NAME string = app.name
output SERVICE_API_URI string = 'https://${app.properties.defaultHostName}/api'
output IDENTITY_PRINCIPAL_ID string = identity.properties.principalId
output IDENTITY_CLIENT_ID string = identity.properties.clientId
