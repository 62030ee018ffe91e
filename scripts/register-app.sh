#!/usr/bin/env bash
# Registers the API in Entra ID with the Azure CLI, or completes a registration
# that there is. It may be run again at any time, with --app: what is there is left
# alone.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/register-app.sh [options]
  --name NAME        display name of a new registration (acsauth)
  --app ID           application (client) id of a registration that there is, to
                     complete that one
  --client ID        client application that may call without asking the user
                     for consent; may be given more than once
  --identity ID      object (principal) id of the service's managed identity,
                     which then stands in for a client secret (On-Behalf-Of)
  --roles            offer the app roles Guest and Host (ACS_ROLE_SCOPES)
  --teams            ask for Teams.ManageCalls and Teams.ManageChats, for the API
                     and for each client, so that Teams users' tokens can be traded
  --teams-phone      ask for TeamsExtension.ManageCalls in the same way (Teams Phone
                     Extensibility); give it clients of its own
  --graph            ask for Microsoft Graph's User.ReadWrite, for the API
                     (IDENTITY_STORE=graph)
  --dry-run          print what would be changed, and change nothing
It needs the Azure CLI, signed in (az login) as somebody who may register
applications.
TEXT
}

# The same ids for everybody: they mean something inside one registration only.
scope_id=5d1f2b8e-7c34-4e0a-9b61-f3a8c2d40e17
guest_id=8a6b0c2d-41e5-4f97-a3c8-1d7e9f5b2064
host_id=c3e9d7a1-5b28-4c6f-8e04-92f1b6a7d835
acs_for_teams=1fd5118e-2576-4263-8130-9503064c837a
graph=00000003-0000-0000-c000-000000000000
applications=https://graph.microsoft.com/v1.0/applications

name=acsauth app_id='' clients=() identity='' roles='' teams=() graph_store='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    --name | --app | --client | --identity)
      [ -n "${2-}" ] || { echo "register-app: $1 needs a value" >&2; exit 2; }
      case $1 in
        --name) name=$2 ;;
        --app) app_id=$2 ;;
        --client) clients+=("$2") ;;
        --identity) identity=$2 ;;
      esac
      shift ;;
    --roles) roles=yes ;;
    --teams) teams+=(Teams.ManageCalls Teams.ManageChats) ;;
    --teams-phone) teams+=(TeamsExtension.ManageCalls) ;;
    --graph) graph_store=yes ;;
    --dry-run) dry_run=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

fail() { echo "register-app: $*" >&2; exit 1; }

is_guid() { [[ $1 =~ ^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$ ]]; }
for id in ${clients[@]+"${clients[@]}"} ${identity:+"$identity"} ${app_id:+"$app_id"}; do
  is_guid "$id" || fail "$id is not a GUID"
done
identity=$(tr '[:upper:]' '[:lower:]' <<<"$identity") # Entra ID takes another case, and refuses it later
app_id=$(tr '[:upper:]' '[:lower:]' <<<"$app_id")
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._\ -]{0,119}$ ]] || fail "--name takes letters, digits, spaces and . _ -"
command -v az >/dev/null || fail "the Azure CLI is missing: https://learn.microsoft.com/cli/azure/install-azure-cli"

# change runs an az command that changes something, or prints it.
change() {
  if [ -n "$dry_run" ]; then
    printf 'would run: az'; printf ' %q' "$@"; printf '\n'
  else
    az "$@" >/dev/null
  fi
}

# show asks for one value of the registration; none is an empty line.
show() { az ad app show --id "$app_id" --query "$1" --output tsv; }

patch() { change rest --method PATCH --url "$applications/$object_id" --headers Content-Type=application/json --body "$1"; }

tenant=$(az account show --query tenantId --output tsv) || fail "sign in first: az login"

if [ -z "$app_id" ]; then
  # In most tenants everybody may register applications, and whoever did has a say in
  # what becomes of it: a name is no proof that it is the operator's own.
  found=$(az ad app list --filter "displayName eq '$name'" --query '[].appId' --output tsv)
  [ -z "$found" ] || fail "there is a registration named $name: ${found//$'\n'/, }. If you made it, complete it with --app <id>; if not, choose another --name"
  new=(ad app create --display-name "$name" --sign-in-audience AzureADMyOrg)
  if [ -n "$dry_run" ]; then
    change "${new[@]}"
    echo "and then complete the new registration in the same way as one that there is"
    exit 0
  fi
  app_id=$(az "${new[@]}" --query appId --output tsv)
fi
object_id=$(show id) || fail "the tenant does not show the registration $app_id: if it is new, run this again in a minute, with --app $app_id"

[ "$(show 'api.requestedAccessTokenVersion')" = 2 ] || patch '{"api":{"requestedAccessTokenVersion":2}}'
uri=$(show 'identifierUris[0]')
[ -n "$uri" ] || patch "{\"identifierUris\":[\"api://$app_id\"]}"

# Lists are replaced as a whole, so this adds to none that somebody else filled.
scopes=$(show 'api.oauth2PermissionScopes[].value')
case $scopes in
  '')
    patch "{\"api\":{\"oauth2PermissionScopes\":[{\"id\":\"$scope_id\",\"value\":\"access_as_user\",\"type\":\"User\",\"isEnabled\":true,\"adminConsentDisplayName\":\"Get a communication token as the user\",\"adminConsentDescription\":\"Lets the application get an Azure Communication Services identity and token for the signed-in user.\",\"userConsentDisplayName\":\"Get a communication token for you\",\"userConsentDescription\":\"Lets the application get an Azure Communication Services identity and token for you.\"}]}}" ;;
  access_as_user) scope_id=$(show 'api.oauth2PermissionScopes[0].id') ;;
  *) fail "the registration has scopes of its own: add access_as_user by hand, or choose another --name" ;;
esac

if [ ${#clients[@]} -gt 0 ]; then
  known=$(show 'api.preAuthorizedApplications[].appId')
  all=$(printf '%s\n' "$known" "${clients[@]}" | tr '[:upper:]' '[:lower:]' | sed '/^$/d' | sort -u)
  if [ "$all" != "$(sed '/^$/d' <<<"$known" | sort -u)" ]; then
    list=''
    for id in $all; do
      list+="${list:+,}{\"appId\":\"$id\",\"delegatedPermissionIds\":[\"$scope_id\"]}"
    done
    patch "{\"api\":{\"preAuthorizedApplications\":[$list]}}"
  fi
fi

if [ -n "$roles" ]; then
  case $(show 'appRoles[].value' | sort | tr '\n' ' ') in
    '')
      role() { printf '{"id":"%s","value":"%s","displayName":"%s","description":"%s","allowedMemberTypes":["User"],"isEnabled":true}' "$1" "$2" "$2" "$3"; }
      patch "{\"appRoles\":[$(role $guest_id Guest 'May join what others start.'),$(role $host_id Host 'May start chats and calls.')]}" ;;
    'Guest Host ') ;;
    *) fail "the registration has app roles of its own: add Guest and Host by hand" ;;
  esac
fi

# Without it nobody in the tenant can sign in to the API.
az ad sp show --id "$app_id" >/dev/null 2>&1 || change ad sp create --id "$app_id"

if [ -n "$identity" ]; then
  issuer=https://login.microsoftonline.com/$tenant/v2.0
  subjects=$(az ad app federated-credential list --id "$app_id" --query "[?issuer=='$issuer'].subject" --output tsv)
  if ! grep -qxF "$identity" <<<"$subjects"; then
    change ad app federated-credential create --id "$app_id" --parameters \
      "{\"name\":\"managed-identity-${identity:0:8}\",\"issuer\":\"$issuer\",\"subject\":\"$identity\",\"audiences\":[\"api://AzureADTokenExchange\"]}"
  fi
fi

# permit asks, for a registration, for delegated permissions of another API.
permit() {
  local id=$1 api=$2 has wanted missing=()
  shift 2
  has=$(az ad app show --id "$id" --query "requiredResourceAccess[?resourceAppId=='$api'].resourceAccess[].id" --output tsv) ||
    fail "$id is no registration of this tenant: ask for $* there"
  for wanted in "$@"; do
    grep -qxF "$wanted" <<<"$has" || missing+=("$wanted=Scope")
  done
  [ ${#missing[@]} -eq 0 ] || change ad app permission add --id "$id" --api "$api" --api-permissions "${missing[@]}"
}

# permission is the id of the permission that API $1 calls $2.
permission() {
  local id
  id=$(az ad sp show --id "$1" --query "oauth2PermissionScopes[?value=='$2'].id" --output tsv 2>/dev/null || true)
  [ -n "$id" ] || [ -z "$dry_run" ] || id="<id of $2>"
  [ -n "$id" ] || fail "the tenant does not show the permission $2"
  echo "$id"
}

if [ ${#teams[@]} -gt 0 ]; then
  az ad sp show --id $acs_for_teams >/dev/null 2>&1 || change ad sp create --id $acs_for_teams
  wanted=()
  for value in "${teams[@]}"; do
    id=$(permission $acs_for_teams "$value")
    wanted+=("$id")
  done
  for id in "$app_id" ${clients[@]+"${clients[@]}"}; do
    permit "$id" $acs_for_teams "${wanted[@]}"
  done
fi
if [ -n "$graph_store" ]; then
  id=$(permission $graph User.ReadWrite)
  permit "$app_id" $graph "$id"
fi
if [ ${#teams[@]} -gt 0 ] || [ -n "$graph_store" ]; then
  echo "An administrator consents once for all users:"
  echo "  https://login.microsoftonline.com/$tenant/adminconsent?client_id=$app_id"
fi

echo "ENTRA_TENANT_ID=$tenant"
echo "ENTRA_CLIENT_ID=$app_id"
echo "scope for clients: ${uri:-api://$app_id}/access_as_user"
