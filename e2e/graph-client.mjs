// The official client of Microsoft Graph against the stand-in: the user and the
// open extensions of their profile.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, GraphError } from "@microsoft/microsoft-graph-client";

const { GRAPH, GUEST_TOKEN, OTHER_APP_TOKEN, READ_TOKEN, USER, WRITE_TOKEN } = process.env;

const clientFor = (token) => Client.initWithMiddleware({
  authProvider: { getAccessToken: async () => token },
  baseUrl: GRAPH,
  customHosts: new Set(["localhost"]),
});
const client = clientFor(WRITE_TOKEN);

const extensions = "/me/extensions";
const mapping = { "@odata.type": "microsoft.graph.openTypeExtension", extensionName: "com.contoso.identity", acsUserId: "8:acs:1" };
const { "@odata.type": type, ...properties } = mapping;

const refused = (statusCode, code, message) => (error) => {
  assert.ok(error instanceof GraphError);
  assert.equal(error.statusCode, statusCode);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  assert.ok(error.requestId);
  return true;
};
const denied = refused(403, "Authorization_RequestDenied", /^Insufficient privileges/);
const missing = refused(404, "ResourceNotFound", /^Extension with given id not found\.$/);

test("me", async () => {
  const me = await client.api("/me").get();
  assert.equal(me.id, USER);
  assert.equal(me.userPrincipalName, "somebody-5@contoso.example");
  assert.deepEqual(Object.keys(await client.api("/me").select("id").get()).sort(), ["@odata.context", "id"]);
});

test("an extension is created, read, changed and deleted", async () => {
  await assert.rejects(client.api(`${extensions}/${mapping.extensionName}`).get(), missing);
  const created = await client.api(extensions).post(mapping);
  assert.deepEqual(created, {
    "@odata.context": created["@odata.context"], "@odata.type": `#${type}`, id: mapping.extensionName, ...properties,
  });

  const { "@odata.context": context, ...shown } = await client.api(`${extensions}/${mapping.extensionName}`).get();
  assert.match(context, /\/v1\.0\/\$metadata#users\('.+'\)\/extensions\/\$entity$/);
  assert.equal(shown.acsUserId, mapping.acsUserId);
  assert.deepEqual((await client.api(extensions).get()).value, [shown]);
  // As the hero samples ask.
  assert.deepEqual((await client.api("/me").expand("extensions").select("id").get()).extensions, [shown]);

  await client.api(`${extensions}/${mapping.extensionName}`).patch({ acsUserId: "8:acs:2" });
  assert.equal((await client.api(`${extensions}/${mapping.extensionName}`).get()).acsUserId, "8:acs:2");
  await client.api(`${extensions}/${mapping.extensionName}`).delete();
  await assert.rejects(client.api(`${extensions}/${mapping.extensionName}`).delete(), missing);
});

test("one application has two extensions at most, each under one name", async () => {
  for (const extensionName of ["com.contoso.a", "com.contoso.b"]) await client.api(extensions).post({ ...mapping, extensionName });
  await assert.rejects(client.api(extensions).post({ ...mapping, extensionName: "com.contoso.a" }),
    refused(400, "Request_BadRequest", /^An extension already exists with given id\.$/));
  await assert.rejects(client.api(extensions).post({ ...mapping, extensionName: "com.contoso.c" }),
    refused(400, "Request_BadRequest", /^Maximum number of extensions values supported per application is 2\.$/));
  await clientFor(OTHER_APP_TOKEN).api(extensions).post({ ...mapping, extensionName: "com.contoso.c" });
  assert.equal((await client.api(extensions).get()).value.length, 3);
});

test("who may not is told so", async () => {
  await assert.rejects(clientFor(READ_TOKEN).api(extensions).post(mapping), denied);
  await assert.rejects(clientFor(GUEST_TOKEN).api(extensions).post(mapping), denied);
  await assert.rejects(clientFor("garbage").api("/me").get(), refused(401, "InvalidAuthenticationToken", /./));
  await assert.rejects(client.api("/users/99999999-9999-4999-8999-999999999999").get(), denied);
});

test("what is no extension is refused", async () => {
  await assert.rejects(client.api(extensions).post({ "@odata.type": type }), refused(400, "Request_BadRequest", /extensionName/));
  await assert.rejects(client.api("/me/nothing").get(), refused(400, "BadRequest", /^Resource not found for the segment 'nothing'\.$/));
});
