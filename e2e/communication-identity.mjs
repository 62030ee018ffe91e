// The official client of ACS Identity against the stand-in: every operation,
// and what it makes of each error.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseConnectionString } from "@azure/communication-common";
import { CommunicationIdentityClient } from "@azure/communication-identity";
import { ClientSecretCredential } from "@azure/identity";

const {
  ACS_CONNECTION_STRING, API_CLIENT_ID, CLIENT_ID, CLIENT_SECRET, ENTRA, TEAMS_TOKEN, TENANT_ID, USER,
} = process.env;
const { endpoint } = parseConnectionString(ACS_CONNECTION_STRING);
const noRetries = { retryOptions: { maxRetries: 0 } };
const unknownGUID = "99999999-9999-4999-8999-999999999999";

const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

const minutesUntil = (date) => (date - Date.now()) / 60_000;

// refused holds an error to what the service is known to say.
const refused = (statusCode, code, message, target) => (error) => {
  assert.equal(error.name, "RestError");
  assert.equal(error.statusCode, statusCode);
  assert.equal(error.code, code);
  assert.equal(error.message, message);
  assert.equal(error.details.error.target, target);
  return true;
};

const entra = new ClientSecretCredential(TENANT_ID, API_CLIENT_ID, CLIENT_SECRET, { authorityHost: ENTRA, disableInstanceDiscovery: true });

for (const [credential, client] of [
  ["an access key", new CommunicationIdentityClient(ACS_CONNECTION_STRING, noRetries)],
  ["an app's token of Entra ID", new CommunicationIdentityClient(endpoint, entra, noRetries)],
]) {
  describe(`with ${credential}`, () => {
    test("a user is created", async () => {
      const user = await client.createUser();
      assert.match(user.communicationUserId, /^8:acs:[0-9a-f-]{36}_[0-9a-f-]{36}$/);
      assert.notDeepEqual(await client.createUser(), user);
    });

    test("a user is created with a token", async () => {
      const { user, token, expiresOn } = await client.createUserAndToken(["chat", "voip"]);
      const claims = claimsOf(token);
      assert.equal(`8:${claims.skypeid}`, user.communicationUserId);
      assert.equal(claims.acsScope, "chat,voip");
      assert.equal(claims.exp, Math.floor(expiresOn / 1000));
      assert.ok(Math.abs(minutesUntil(expiresOn) - 1440) < 1);
    });

    test("a user is created with a token that lives an hour", async () => {
      const { expiresOn } = await client.createUserAndToken(["chat"], { tokenExpiresInMinutes: 60 });
      assert.ok(Math.abs(minutesUntil(expiresOn) - 60) < 1);
    });

    test("a token has the scopes and the lifetime asked for", async () => {
      const user = await client.createUser();
      for (const scope of ["chat", "voip", "chat.join", "chat.join.limited", "voip.join"]) {
        const { token, expiresOn } = await client.getToken(user, [scope], { tokenExpiresInMinutes: 90 });
        assert.equal(claimsOf(token).acsScope, scope);
        assert.ok(Math.abs(minutesUntil(expiresOn) - 90) < 1);
      }
    });

    test("tokens are revoked, and another one is to be had at once", async () => {
      const { user, token } = await client.createUserAndToken(["chat"]);
      await client.revokeTokens(user);
      assert.notEqual((await client.getToken(user, ["chat"])).token, token);
    });

    test("a deleted user is gone", async () => {
      const user = await client.createUser();
      await client.deleteUser(user);
      await client.deleteUser(user); // once more is no error
      const gone = refused(404, "IdentityNotFound", "Identity not found.");
      await assert.rejects(client.getToken(user, ["chat"]), gone);
      await assert.rejects(client.revokeTokens(user), gone);
    });

    test("a lifetime out of range is refused", async () => {
      const user = await client.createUser();
      for (const minutes of [59, 1441]) {
        const outOfRange = refused(400, "ValidationError",
          `ExpiresInMinutes value ${minutes} is invalid. Value must be within the [60, 1440] interval.`, "ExpiresInMinutes");
        await assert.rejects(client.getToken(user, ["chat"], { tokenExpiresInMinutes: minutes }), outOfRange);
        await assert.rejects(client.createUserAndToken(["chat"], { tokenExpiresInMinutes: minutes }), outOfRange);
      }
    });

    test("no scopes, or an unknown one, are refused", async () => {
      const user = await client.createUser();
      await assert.rejects(client.getToken(user, []), refused(400, "ValidationError", "Scopes: The Scopes field is required.", "Scopes"));
      await assert.rejects(client.getToken(user, ["all"]), (error) => error.statusCode === 400 && error.code === "ValidationError");
    });

    test("a Teams user's token is exchanged for one that ends with it", async () => {
      const { token, expiresOn } = await client.getTokenForTeamsUser({
        teamsUserAadToken: TEAMS_TOKEN, clientId: CLIENT_ID, userObjectId: USER,
      });
      assert.equal(claimsOf(token).skypeid, `orgid:${USER}`);
      assert.equal(expiresOn.getTime(), claimsOf(TEAMS_TOKEN).exp * 1000);
    });

    for (const [name, change, ...expected] of [
      ["no token", { teamsUserAadToken: "" }, 401, "InvalidAccessToken", "Provided access token is not valid."],
      ["no token and no user", { teamsUserAadToken: "", userObjectId: "" }, 401, "InvalidAccessToken", "Provided access token is not valid."],
      ["garbage", { teamsUserAadToken: "garbage" }, 401, "InvalidAccessToken", "Provided access token is not valid."],
      ["no application", { clientId: "" }, 400, "ValidationError", "AppId: The AppId field is required.", "AppId"],
      ["no user", { userObjectId: "" }, 400, "ValidationError", "UserId: The UserId field is required.", "UserId"],
      ["an application that is no GUID", { clientId: "invalid" }, 400, "ValidationError", "Provided AppId has invalid format.", "appId"],
      ["another application", { clientId: unknownGUID }, 400, "ValidationError", "AAD application is not the expected one.", "appId"],
      ["another user", { userObjectId: unknownGUID }, 400, "ValidationError", "Provided AAD token issued for unexpected user.", "userId"],
      ["the tenant in place of the user", { userObjectId: TENANT_ID }, 400, "ValidationError", "Provided AAD token issued for unexpected user.", "userId"],
    ]) {
      test(`an exchange with ${name} is refused`, async () => {
        const options = { teamsUserAadToken: TEAMS_TOKEN, clientId: CLIENT_ID, userObjectId: USER, ...change };
        await assert.rejects(client.getTokenForTeamsUser(options), refused(...expected));
      });
    }
  });
}

test("another access key is refused", async () => {
  const client = new CommunicationIdentityClient(endpoint, { key: Buffer.from("another").toString("base64") }, noRetries);
  await assert.rejects(client.createUser(), refused(401, "Denied", "Denied by the resource provider."));
});

test("a bearer token that Entra ID has not issued is refused", async () => {
  const credential = { getToken: async () => ({ token: "e30.e30.c2ln", expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const client = new CommunicationIdentityClient(endpoint, credential, noRetries);
  await assert.rejects(client.createUser(), refused(401, "Denied", "Denied by the resource provider."));
});
