// MSAL for Node.js as a desktop app: the user signs in with the browser, which
// takes the code to the app by a form.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PublicClientApplication } from "@azure/msal-node";
import { launch, watch } from "./chromium.mjs";

const { API_SCOPE, DESKTOP_CLIENT_ID, ENTRA, SERVICE, TENANT_ID } = process.env;

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test("the user signs in, and the service takes the app's token", { timeout: 120_000 }, async () => {
  const page = await browser.newPage();
  const troubles = watch(page);
  const app = new PublicClientApplication({
    auth: { clientId: DESKTOP_CLIENT_ID, authority: `${ENTRA}/${TENANT_ID}`, knownAuthorities: [new URL(ENTRA).host] },
  });
  const request = { scopes: [API_SCOPE] };
  const { account, accessToken } = await app.acquireTokenInteractive({
    ...request,
    openBrowser: async (url) => {
      await page.goto(url);
      await page.getByRole("button", { name: "Alice Teams" }).click();
      await page.getByText("Auth code was successfully acquired").waitFor();
    },
  });
  assert.deepEqual(troubles, []);
  assert.equal(account.username, "alice@contoso.example");
  const next = await app.acquireTokenSilent({ ...request, account, forceRefresh: true });
  assert.notEqual(next.accessToken, accessToken);
  const response = await fetch(`${SERVICE}/getToken`, { headers: { Authorization: `Bearer ${next.accessToken}` } });
  assert.equal(response.status, 200, await response.text());
});
