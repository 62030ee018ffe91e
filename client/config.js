// The one file to edit. The values are those of the local cloud; the comments say
// what takes their place.
export default {
  // https://login.microsoftonline.com/<tenant id>
  authority: "https://localhost:7443/6f1d7c52-3b0e-4a9c-8d27-51c0a4e9b310",
  // The page's own registration.
  clientId: "9b3e6a70-1c58-4d2f-8e07-64fa5d1b2c93",
  // api://<client id of the API>/access_as_user
  scope: "api://5f0d8c1a-7e42-4b6d-9a35-2c81e0b7d946/access_as_user",
  // https://<function app>.azurewebsites.net/api
  service: "http://localhost:7071/api",
  // For Teams users. These are the same everywhere but in other clouds.
  teamsScopes: [
    "https://auth.msft.communication.azure.com/Teams.ManageCalls",
    "https://auth.msft.communication.azure.com/Teams.ManageChats",
  ],
};
