// MSAL for Node.js as the service's own registration: for itself, for a user who
// signs in, and on behalf of the user who calls it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfidentialClientApplication, CryptoProvider, InteractionRequiredAuthError, ServerError } from "@azure/msal-node";

const {
  API_CLIENT_ID, API_SCOPE, CLIENT_SECRET, ENTRA, TENANT_ID,
  ALICE, ALICE_TOKEN, TEAMS_TOKEN, UNCONSENTED_TOKEN, CHALLENGED, CHALLENGED_TOKEN,
} = process.env;

const graph = "https://graph.microsoft.com/User.Read";
const redirectUri = "http://localhost:3000";

const newApp = (clientSecret = CLIENT_SECRET) => new ConfidentialClientApplication({
  auth: { clientId: API_CLIENT_ID, clientSecret, authority: `${ENTRA}/${TENANT_ID}`, knownAuthorities: [new URL(ENTRA).host] },
});

const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

// signIn takes the user to the sign-in page, chooses the account there and
// approves.
async function signIn(app, user, request) {
  const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
  const url = await app.getAuthCodeUrl({
    ...request, redirectUri, codeChallenge: challenge, codeChallengeMethod: "S256", responseMode: "query",
  });
  const response = await fetch(url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ local_cloud_user: `${TENANT_ID}.${user}`, local_cloud_second_factor: "approved" }),
  });
  const code = new URL(response.headers.get("location")).searchParams.get("code");
  return app.acquireTokenByCode({ ...request, redirectUri, code, codeVerifier: verifier });
}

describe("for itself", () => {
  test("it gets a token, and then the same from the cache", async () => {
    const app = newApp();
    const request = { scopes: ["https://communication.azure.com//.default"] };
    const first = await app.acquireTokenByClientCredential(request);
    const claims = claimsOf(first.accessToken);
    assert.equal(claims.aud, "https://communication.azure.com/");
    assert.equal(claims.oid, claims.sub);
    assert.equal(claims.scp, undefined);
    const second = await app.acquireTokenByClientCredential(request);
    assert.equal(second.fromCache, true);
    assert.equal(second.accessToken, first.accessToken);
  });

  test("a wrong secret is refused", async () => {
    await assert.rejects(newApp("wrong").acquireTokenByClientCredential({ scopes: [`${API_SCOPE.split("/access")[0]}/.default`] }), (error) => {
      assert.ok(error instanceof ServerError);
      assert.equal(error.errorCode, "invalid_client");
      assert.match(error.errorMessage, /AADSTS7000215: Invalid client secret provided/);
      return true;
    });
  });
});

describe("for a user who signs in", () => {
  test("it redeems the code, and gets the next token by the refresh token", async () => {
    const app = newApp();
    const { account, accessToken, scopes } = await signIn(app, ALICE, { scopes: [graph] });
    assert.equal(account.username, "alice@contoso.example");
    assert.equal(account.homeAccountId, `${ALICE}.${TENANT_ID}`);
    assert.ok(scopes.some((scope) => scope.endsWith("User.Read")));
    assert.equal(claimsOf(accessToken).oid, ALICE);
    const next = await app.acquireTokenSilent({ account, scopes: [graph], forceRefresh: true });
    assert.notEqual(next.accessToken, accessToken);
    assert.equal((await app.acquireTokenSilent({ account, scopes: [graph] })).fromCache, true);
  });
});

describe("on behalf of the user who calls it", () => {
  const onBehalfOf = (oboAssertion, request) => newApp().acquireTokenOnBehalfOf({ oboAssertion, scopes: [graph], ...request });

  test("it gets a token for Graph that is the user's", async () => {
    const { accessToken, account } = await onBehalfOf(ALICE_TOKEN);
    const claims = claimsOf(accessToken);
    assert.equal(claims.oid, ALICE);
    assert.equal(claims.appid, API_CLIENT_ID);
    assert.deepEqual(claims.scp.split(" ").sort(), ["User.Read", "User.ReadWrite"], "what was asked for and what else is consented to");
    assert.equal(account.username, "alice@contoso.example");
  });

  test("without consent it is told so", async () => {
    await assert.rejects(onBehalfOf(UNCONSENTED_TOKEN), (error) => {
      assert.ok(error instanceof InteractionRequiredAuthError);
      assert.equal(error.errorCode, "invalid_grant");
      assert.equal(error.subError, "consent_required");
      assert.match(error.errorMessage, /AADSTS65001/);
      return true;
    });
  });

  test("a user who has to prove more is challenged, and the challenge can be met", async () => {
    const error = await onBehalfOf(CHALLENGED_TOKEN).then(assert.fail, (error) => error);
    assert.ok(error instanceof InteractionRequiredAuthError);
    assert.equal(error.errorCode, "interaction_required");
    assert.ok(JSON.parse(error.claims).access_token);
    const { accessToken } = await signIn(newApp(), CHALLENGED, { scopes: [API_SCOPE], claims: error.claims });
    assert.equal(claimsOf((await onBehalfOf(accessToken)).accessToken).oid, CHALLENGED);
  });

  test("a token for another API is refused", async () => {
    await assert.rejects(onBehalfOf(TEAMS_TOKEN), (error) => {
      assert.equal(error.errorCode, "invalid_grant");
      assert.match(error.errorMessage, /AADSTS500131/);
      return true;
    });
  });
});
