// What the official clients of chat and calling are built on, given the tokens
// and users of this service.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import {
  AzureCommunicationTokenCredential, createIdentifierFromRawId, getIdentifierKind, getIdentifierRawId, isCommunicationUserIdentifier,
  isMicrosoftTeamsUserIdentifier,
} from "@azure/communication-common";

const { ACCESS_TOKEN, ACS, EXTENSION_TOKEN, SERVICE, TEAMS_TOKEN, TENANT_ID, USER } = process.env;

async function call(name, body) {
  const response = await fetch(`${SERVICE}/${name}`, {
    method: "POST",
    headers: { authorization: `Bearer ${ACCESS_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const answer = await response.json();
  assert.ok(response.ok, `${name}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

// expiring makes a token of which the client knows no more than when it ends.
const expiring = (seconds) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part({ exp: Math.floor(Date.now() / 1000) + seconds })}.c2ln`;
};

test("a token is read for when it ends", async () => {
  const { token, expiresOn } = await call("getToken", { expiresInMinutes: 60 });
  const credential = new AzureCommunicationTokenCredential(token);
  assert.deepEqual(await credential.getToken(), { token, expiresOnTimestamp: Date.parse(expiresOn) });
});

test("a user goes into the client's types as it is", async () => {
  const { user } = await call("getUser");
  assert.ok(isCommunicationUserIdentifier(user));
  assert.deepEqual(getIdentifierKind(user), { kind: "communicationUser", ...user });
  const rawId = getIdentifierRawId(user);
  assert.equal(rawId, user.communicationUserId);
  assert.deepEqual(createIdentifierFromRawId(rawId), { kind: "communicationUser", ...user });
});

test("a token that has ended is refreshed when it is asked for, once", async () => {
  await call("getUser");
  let refreshed = 0;
  const credential = new AzureCommunicationTokenCredential({
    token: expiring(-1),
    tokenRefresher: async () => {
      refreshed++;
      return (await call("refreshToken")).token;
    },
  });
  const [first, second] = await Promise.all([credential.getToken(), credential.getToken()]);
  assert.deepEqual(first, second);
  assert.deepEqual(await credential.getToken(), first);
  assert.ok(first.expiresOnTimestamp > Date.now());
  assert.equal(refreshed, 1);
});

test("a token is refreshed ten minutes before its end without being asked for", { timeout: 120_000 }, async (t) => {
  await call("getUser");
  const old = expiring(601);
  const credential = new AzureCommunicationTokenCredential({
    token: old,
    refreshProactively: true,
    tokenRefresher: async () => (await call("refreshToken")).token,
  });
  t.after(() => credential.dispose());
  while ((await credential.getToken()).token === old) await setTimeout(20);
  assert.ok((await credential.getToken()).expiresOnTimestamp > Date.now() + 3_600_000);
});

test("a Teams user's exchanged token and user are the client's too", async () => {
  const { token, expiresOn, user } = await call("exchangeToken", { token: TEAMS_TOKEN });
  assert.equal((await new AzureCommunicationTokenCredential(token).getToken()).expiresOnTimestamp, Date.parse(expiresOn));
  assert.ok(isMicrosoftTeamsUserIdentifier(user));
  assert.equal(getIdentifierRawId(user), `8:orgid:${USER}`);
});

// ofTeamsPhone holds a token of Teams Phone Extensibility, and its user where the
// answer has one, to the user that it must be for.
async function ofTeamsPhone({ token, expiresOnTimestamp }, user) {
  assert.ok(expiresOnTimestamp > Date.now());
  const { skypeid } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  if (user) assert.deepEqual(user, { communicationUserId: `8:${skypeid}` });
  const { kind, userId, tenantId } = createIdentifierFromRawId(`8:${skypeid}`);
  assert.deepEqual({ kind, userId, tenantId }, { kind: "teamsExtensionUser", userId: USER, tenantId: TENANT_ID });
}

test("the same of Teams Phone Extensibility", async () => {
  const { token, user } = await call("exchangeToken", { token: EXTENSION_TOKEN });
  await ofTeamsPhone(await new AzureCommunicationTokenCredential(token).getToken(), user);
});

test("a user of Teams Phone Extensibility can exchange their token at ACS itself", async () => {
  const credential = new AzureCommunicationTokenCredential({
    resourceEndpoint: ACS,
    scopes: ["https://auth.msft.communication.azure.com/TeamsExtension.ManageCalls"],
    tokenCredential: { getToken: async () => ({ token: EXTENSION_TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 }) },
  });
  await ofTeamsPhone(await credential.getToken());
  credential.dispose();
});
