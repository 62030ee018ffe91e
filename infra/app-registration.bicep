// The API's registration in Entra ID, by the Microsoft Graph extension of Bicep
// (bicepconfig.json). It is a file of its own because it takes rights in the
// directory that main.bicep does without. scripts/register-app.sh does the same
// with the Azure CLI.
//
//   az deployment group create -g <group> -f infra/app-registration.bicep
//
// Deploy it twice: a registration can't name itself, so the second time takes
// the client id that the first one put out. Before the first time, see that no
// registration has the unique name: anybody in the tenant may have made it, and keep
// a secret for it.
//
//   az rest --url "https://graph.microsoft.com/v1.0/applications(uniqueName='acsauth')"

extension microsoftGraphV1

@description('Display name, and with it the unique name by which a later deployment finds the registration.')
param name string = 'acsauth'

@description('Client id of this registration, from the first deployment. It becomes the address api://<client id>.')
param clientId string = ''

@description('Client ids of applications that may call without asking the user for consent.')
param preAuthorizedClientIds array = []

@description('Object (principal) id of the service\'s managed identity, which then stands in for a client secret. Needed for On-Behalf-Of alone.')
param identityPrincipalId string = ''

@description('Also ask for the permissions to trade Teams users\' tokens on their behalf.')
param teams bool = false

@description('Also ask for the permission to trade tokens for Teams Phone Extensibility.')
param teamsPhone bool = false

@description('Also ask for User.ReadWrite of Microsoft Graph, for IDENTITY_STORE=graph.')
param graphStore bool = false

@description('Also offer the app roles Guest and Host.')
param appRoles bool = false

var scopeId = guid(name, 'access_as_user')

var teamsPermissions = concat(teams ? ['Teams.ManageCalls', 'Teams.ManageChats'] : [], teamsPhone ? ['TeamsExtension.ManageCalls'] : [])

// Azure Communication Services, as Teams users sign in to it.
resource acsForTeams 'Microsoft.Graph/servicePrincipals@v1.0' existing = if (!empty(teamsPermissions)) {
  appId: '1fd5118e-2576-4263-8130-9503064c837a'
}

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000'
}

resource app 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: name
  signInAudience: 'AzureADMyOrg'
  identifierUris: empty(clientId) ? [] : ['api://${clientId}']
  api: {
    requestedAccessTokenVersion: 2
    oauth2PermissionScopes: [
      {
        id: scopeId
        value: 'access_as_user'
        type: 'User'
        isEnabled: true
        adminConsentDisplayName: 'Get a communication token as the user'
        adminConsentDescription: 'Lets the application get an Azure Communication Services identity and token for the signed-in user.'
        userConsentDisplayName: 'Get a communication token for you'
        userConsentDescription: 'Lets the application get an Azure Communication Services identity and token for you.'
      }
    ]
    preAuthorizedApplications: [for id in preAuthorizedClientIds: {
      appId: id
      delegatedPermissionIds: [scopeId]
    }]
  }
  appRoles: !appRoles ? [] : [
    {
      id: guid(name, 'Guest')
      value: 'Guest'
      displayName: 'Guest'
      description: 'May join what others start.'
      allowedMemberTypes: ['User']
      isEnabled: true
    }
    {
      id: guid(name, 'Host')
      value: 'Host'
      displayName: 'Host'
      description: 'May start chats and calls.'
      allowedMemberTypes: ['User']
      isEnabled: true
    }
  ]
  requiredResourceAccess: concat(empty(teamsPermissions) ? [] : [
    {
      resourceAppId: acsForTeams.appId
      resourceAccess: map(teamsPermissions, permission => {
        id: filter(acsForTeams.oauth2PermissionScopes, scope => scope.value == permission)[0].id
        type: 'Scope'
      })
    }
  ], !graphStore ? [] : [
    {
      resourceAppId: graph.appId
      resourceAccess: [
        {
          id: filter(graph.oauth2PermissionScopes, scope => scope.value == 'User.ReadWrite')[0].id
          type: 'Scope'
        }
      ]
    }
  ])
}

resource federation 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = if (!empty(identityPrincipalId)) {
  name: '${app.uniqueName}/managed-identity'
  issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
  subject: identityPrincipalId
  audiences: ['api://AzureADTokenExchange']
  description: 'The managed identity of the service signs in as this application.'
}

resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: app.appId
}

output ENTRA_CLIENT_ID string = app.appId
output SCOPE string = 'api://${app.appId}/access_as_user'
