// MSAL.js in Chromium: a client app as Microsoft's own samples write it, from
// sign-in to a token of ACS and sign-out.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launchWithProfile, watch } from "./chromium.mjs";

const { API_SCOPE, CLIENT_ID, ENTRA, SERVICE, SITE, TENANT_ID } = process.env;

const settings = {
  auth: {
    clientId: CLIENT_ID,
    authority: `${ENTRA}/${TENANT_ID}`,
    knownAuthorities: [new URL(ENTRA).host],
    redirectUri: `${SITE}/`,
  },
  system: { iframeBridgeTimeout: 60_000 },
};

describe("a client app", () => {
  let browser, page, troubles;
  const requests = []; // to Entra ID, by path

  // open loads the app, and completes the redirect if there is one.
  const open = () => page.evaluate(async (settings) => {
    window.app = new msal.PublicClientApplication(settings);
    await app.initialize();
    const result = await app.handleRedirectPromise();
    if (result) app.setActiveAccount(result.account);
    return result;
  }, settings);

  const silently = (request) => page.evaluate(async (request) => {
    const { accessToken, fromCache, account } = await app.acquireTokenSilent(request);
    return { accessToken, fromCache, account };
  }, { scopes: [API_SCOPE], ...request });

  const call = (method, path, token, headers) => page.evaluate(async ([method, url, token, headers]) => {
    const response = await fetch(url, { method, headers: { authorization: `Bearer ${token}`, ...headers } });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  }, [method, `${SERVICE}/${path}`, token, headers]);

  before(async () => {
    browser = await launchWithProfile();
    page = await browser.newPage();
    troubles = watch(page);
    page.on("request", (request) => {
      if (request.url().startsWith(ENTRA)) requests.push(new URL(request.url()).pathname.split("/").at(-1));
    });
    await page.goto(SITE);
  });
  after(() => browser?.close());

  test("signs a user in by redirect, who is chosen on the sign-in page", async () => {
    assert.equal(await open(), null);
    await page.evaluate((scope) => { app.loginRedirect({ scopes: [scope] }); }, API_SCOPE);
    await page.getByRole("button", { name: "Alice Teams" }).click();
    await page.waitForURL((url) => url.origin === SITE);
    const result = await open();
    assert.equal(result.account.username, "alice@contoso.example");
    assert.equal(result.account.name, "Alice Teams");
    assert.equal(result.account.tenantId, TENANT_ID);
    assert.deepEqual(result.scopes.filter((scope) => scope.startsWith("api://")), [API_SCOPE]);
  });

  test("gets its token from the cache, without a request", async () => {
    const before = requests.length;
    const { fromCache } = await silently();
    assert.equal(fromCache, true);
    assert.equal(requests.length, before);
  });

  test("gets a new one by its refresh token", async () => {
    const old = await silently();
    const fresh = await silently({ forceRefresh: true });
    assert.equal(fresh.fromCache, false);
    assert.notEqual(fresh.accessToken, old.accessToken);
    assert.equal(requests.at(-1), "token");
  });

  test("gets a new one through a hidden frame", async () => {
    const { accessToken, account } = await page.evaluate(
      (scope) => app.ssoSilent({ scopes: [scope], account: app.getActiveAccount() }), API_SCOPE);
    assert.equal(account.username, "alice@contoso.example");
    assert.ok(accessToken);
    assert.deepEqual(requests.slice(-2), ["authorize", "token"]);
  });

  test("calls the service from another origin", async () => {
    const { accessToken } = await silently();
    const { status, body } = await call("POST", "getToken", accessToken);
    assert.equal(status, 200);
    assert.match(body.user.communicationUserId, /^8:acs:/);
    assert.ok(new Date(body.expiresOn) > new Date());
    assert.deepEqual((await call("GET", "getUser", accessToken)).body.user, body.user);
    assert.equal((await call("DELETE", "deleteUser", accessToken)).status, 204);
  });

  test("gets a token for Teams in the same way, and has the service exchange it", async () => {
    const { accessToken } = await silently();
    const teams = await silently({ scopes: ["https://auth.msft.communication.azure.com/Teams.ManageCalls"] });
    assert.equal(JSON.parse(Buffer.from(teams.accessToken.split(".")[1], "base64url")).scp, "Teams.ManageCalls");
    const { status, body } = await call("POST", "exchangeToken", accessToken, { "teams-user-aad-token": teams.accessToken });
    assert.equal(status, 200);
    assert.equal(body.user.microsoftTeamsUserId, teams.account.localAccountId);
  });

  test("has had no trouble so far", () => {
    const ofMSAL = "An iframe which has both allow-scripts and allow-same-origin"; // its hidden frame
    assert.deepEqual(troubles.filter((trouble) => !trouble.includes(ofMSAL)), []);
  });

  test("can read why the service refuses a token", async () => {
    const { status, body } = await call("POST", "getToken", "e30.e30.c2ln");
    assert.equal(status, 401);
    assert.equal(body.code, "invalid_token");
  });

  test("signs the user out and comes back", async () => {
    const back = page.waitForEvent("load");
    await page.evaluate((uri) => { app.logoutRedirect({ postLogoutRedirectUri: uri }); }, SITE);
    await back;
    assert.equal(new URL(page.url()).origin, SITE);
    await open();
    assert.equal(await page.evaluate(() => app.getAllAccounts().length), 0);
    assert.ok(requests.includes("logout"));
    const refused = await page.evaluate(
      (scope) => app.ssoSilent({ scopes: [scope], loginHint: "alice@contoso.example" }).catch((error) => error.errorCode), API_SCOPE);
    assert.equal(refused, "login_required");
  });

  test("is told when the user declines", async () => {
    await page.goto(SITE);
    await open();
    await page.evaluate((scope) => { app.loginRedirect({ scopes: [scope] }); }, API_SCOPE);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.waitForURL((url) => url.origin === SITE);
    await assert.rejects(open(), /access_denied/);
  });

  test("signs a user in by popup", async () => {
    await page.goto(SITE);
    await open();
    const popup = page.waitForEvent("popup");
    const result = page.evaluate(async (scope) => (await app.loginPopup({ scopes: [scope] })).account.username, API_SCOPE);
    await (await popup).getByRole("button", { name: "Grace Guest" }).click();
    assert.match(await result, /^grace/);
  });
});
