// A server that knows Microsoft's services by their own names alone, as the hero
// samples do, where those names lead to the local cloud.
import assert from "node:assert/strict";
import { test } from "node:test";
import tls from "node:tls";
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { ConfidentialClientApplication } from "@azure/msal-node";
import { Client } from "@microsoft/microsoft-graph-client";

const {
  ACCESS_TOKEN, ACS, ACS_CONNECTION_STRING, API_CLIENT_ID, CLIENT_SECRET, ENTRA, GRAPH, TEAMS_TOKEN, TENANT_ID, USER,
} = process.env;

const mapped = new Map([
  ["login.microsoftonline.com", ENTRA],
  ["graph.microsoft.com", GRAPH],
  ["contoso.communication.azure.com", ACS],
]);
const { connect } = tls;
tls.connect = (options, ...rest) => {
  const url = mapped.get(options.host ?? options.hostname);
  assert.ok(url, `${options.host} is none of the names`);
  const { hostname, port } = new URL(url);
  return connect({ ...options, host: hostname, port, servername: hostname }, ...rest);
};

test("On-Behalf-Of, a mapping in Graph, tokens of ACS", async () => {
  const entra = new ConfidentialClientApplication({
    auth: { clientId: API_CLIENT_ID, clientSecret: CLIENT_SECRET, authority: `https://login.microsoftonline.com/${TENANT_ID}` },
  });
  const { accessToken } = await entra.acquireTokenOnBehalfOf({ oboAssertion: ACCESS_TOKEN, scopes: ["user.read"] });
  const graph = Client.init({ authProvider: (done) => done(null, accessToken) });
  const acs = new CommunicationIdentityClient(ACS_CONNECTION_STRING.replace(ACS, "https://contoso.communication.azure.com"));

  const me = () => graph.api("/me").expand("extensions").select("id").get();
  assert.deepEqual((await me()).extensions, []);
  const { communicationUserId } = await acs.createUser();
  const extensionName = "com.contoso.identityMapping";
  await graph.api("/me/extensions").post({
    "@odata.type": "microsoft.graph.openTypeExtension", extensionName, acsUserIdentity: communicationUserId,
  });
  const [mapping] = (await me()).extensions;
  assert.equal(mapping.extensionName, extensionName);
  assert.equal(mapping.acsUserIdentity, communicationUserId);

  assert.ok((await acs.getToken({ communicationUserId }, ["voip", "chat"])).token);
  assert.ok((await acs.getTokenForTeamsUser({ clientId: API_CLIENT_ID, teamsUserAadToken: TEAMS_TOKEN, userObjectId: USER })).token);
  await graph.api(`/me/extensions/${extensionName}`).delete();
  await acs.deleteUser({ communicationUserId });
  assert.deepEqual((await me()).extensions, []);
});
