// The sample client in Chromium: a user's way through it, what goes wrong on the
// way, and what its policy keeps out.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { contrasts, press, unnamed } from "./accessibility.mjs";
import { launchWithProfile, watch } from "./chromium.mjs";

const { ACS, SCREENSHOTS, SERVICE, SITE, USER } = process.env;

let browser, page, troubles;
before(async () => {
  browser = await launchWithProfile();
  page = await browser.newPage();
  troubles = watch(page);
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto(SITE);
});
after(() => browser?.close());

// What Chromium itself says of an answer like that.
const refused = (status) => new RegExp(`the server responded with a status of ${status}`);

// expected are the troubles that the test makes on purpose.
let expected = [];
afterEach(() => {
  const ofMSAL = "An iframe which has both allow-scripts and allow-same-origin"; // its hidden frame
  const seen = troubles.splice(0).filter((trouble) => !trouble.includes(ofMSAL));
  const wanted = expected.splice(0);
  assert.equal(seen.length, wanted.length, seen.join("\n"));
  wanted.forEach((pattern, i) => assert.match(seen[i], pattern));
});

const says = (text) => page.locator("#message", { hasText: text }).waitFor()
  .catch(async () => assert.fail(`expected ${text}, got ${await shown("message")}`));
const shown = (id) => page.locator(`#${id}`).innerText();
const shoot = (name) => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/client-${name}.png`, fullPage: true });
const turn = async (knob) => assert.equal((await fetch(`${SITE}/knobs`, { method: "POST", body: knob })).status, 200, knob);

// signInAgain follows the page's offer and comes back. It returns the claims that
// Entra ID was asked for.
async function signInAgain() {
  const authorize = page.waitForRequest(/\/authorize\?/);
  const next = page.waitForEvent("load");
  await press(page, "Sign in again");
  const url = new URL((await authorize).url());
  await next;
  return JSON.parse(url.searchParams.get("claims")).access_token;
}

const signedIn = () => page.getByText("Signed in as somebody-7@contoso.example").waitFor();

test("a user signs in", async () => {
  await press(page, "Sign in");
  await page.getByRole("button", { name: "Somebody" }).click();
  await signedIn();
  assert.equal(await page.evaluate(() => location.href), `${SITE}/`, "no code stays in the address");
});

test("the service wants more proof, the user gives it and has a token", async () => {
  await press(page, "Get a token");
  await says("You have to sign in again.");
  expected = [refused(401)];
  assert.ok((await signInAgain()).polids);
  await page.getByRole("button", { name: "Approve" }).click();
  await signedIn();
  await press(page, "Get a token");
  await says("Here is a token.");
  assert.match(await shown("user"), /^8:acs:/);
  assert.ok(new Date(await shown("until")) > Date.now() + 23 * 3_600_000);
});

test("a Teams user's token is exchanged", async () => {
  await press(page, "Get one as a Teams user");
  await says("Here is a token for you as a Teams user.");
  assert.equal(await shown("user"), `8:orgid:${USER}`);
});

test("a token is renewed", async () => {
  await press(page, "Get a token");
  await says("Here is a token.");
  const user = await shown("user");
  await press(page, "Renew it now");
  await says("Here is another token.");
  assert.equal(await shown("user"), user);
});

test("a service that is busy once is asked again", async () => {
  await turn("acs/issueAccessToken:status=429,retry-after=60,times=1");
  await press(page, "Renew it now");
  await says("Here is another token.");
  expected = [refused(503)];
});

test("a service that stays busy is left alone", async () => {
  await turn("acs/issueAccessToken:status=429,retry-after=60,times=2");
  await press(page, "Renew it now");
  await says(/^The service is busy. Try again in a minute. \(Request \S+\)$/);
  await shoot("error");
  expected = [refused(503), refused(503)];
});

// Answers that are hard to have from the service just so.
for (const [name, answer, text, again, trouble] of [
  ["a code that only an administrator can do something about", { status: 403, json: { code: "tenant_not_allowed", detail: "Not your tenant.", requestId: "r1" } },
    "Not your tenant. (Request r1)", false, refused(403)],
  ["a token that is refused", { status: 401, json: { code: "invalid_token", detail: "Too old.", requestId: "r2" } },
    "You have to sign in again. (Request r2)", true, refused(401)],
  ["an identity that is gone", { status: 404, json: { code: "identity_not_found", requestId: "r3" } },
    "You have no identity. Get a token, which makes one. (Request r3)", false, refused(404)],
  ["an error of the Functions host", { status: 500 }, "The service answered 500.", false, refused(500)],
  ["a wait that is too long", { status: 429, json: { code: "rate_limited", requestId: "r4" }, headers: { "retry-after": "31" } },
    "That was too often. Try again in a minute. (Request r4)", false, refused(429)],
  ["markup", { status: 400, json: { code: "x", detail: "<img src=x onerror=alert(1)>" } }, "<img src=x onerror=alert(1)>", false, refused(400)],
  ["no answer", undefined, "The service can’t be reached.", false, /ERR_FAILED/],
]) {
  test(`the page says it well: ${name}`, async () => {
    await answerWith(answer);
    await press(page, "Get a token");
    await says(text);
    assert.equal(await page.getByRole("button", { name: "Sign in again" }).isVisible(), again);
    expected = [trouble];
  });
}

test("a challenge may be in the header alone", async () => {
  const claims = { access_token: { nbf: { essential: true, value: "1" } } };
  await answerWith({ status: 401, headers: { "www-authenticate": `Bearer realm="", error="insufficient_claims", claims="${btoa(JSON.stringify(claims))}"` } });
  await press(page, "Get a token");
  await says("You have to sign in again.");
  expected = [refused(401)];
  assert.deepEqual(await signInAgain(), claims.access_token);
  await signedIn();
});

// answerWith has the next call of getToken answered so, in the service's place;
// undefined is no answer.
async function answerWith(answer) {
  const exposed = { "access-control-allow-origin": SITE, "access-control-expose-headers": "WWW-Authenticate, Retry-After" };
  await page.route(`${SERVICE}/getToken`, (route) =>
    answer ? route.fulfill({ ...answer, headers: { ...exposed, ...answer.headers } }) : route.abort(), { times: 1 });
}

test("an identity is deleted, once that is confirmed", async () => {
  await press(page, "Get a token");
  await says("Here is a token.");
  const user = await shown("user");
  await press(page, "Delete my identity");
  await page.keyboard.press("Escape");
  await press(page, "Delete my identity");
  await shoot("confirm");
  await press(page, "Keep it");
  assert.equal(await shown("user"), user);
  await press(page, "Delete my identity");
  await press(page, "Delete it");
  await says("Your identity is deleted.");
  assert.equal(await shown("user"), "none");
  assert.equal(await page.getByRole("button", { name: "Renew it now" }).isVisible(), false);
  await press(page, "Get a token");
  await says("Here is a token.");
  assert.notEqual(await shown("user"), user);
});

for (const colorScheme of ["light", "dark"]) {
  test(`at 360 pixels, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme });
    await shoot(colorScheme);
    assert.equal(await page.evaluate(() => document.scrollingElement.scrollWidth), 360, "nothing sticks out");
    assert.deepEqual(await page.evaluate(contrasts), [], "text that is too faint to read");
    assert.deepEqual(await unnamed(page), []);
  });
}

test("the page can reach the service and Entra ID alone, and run no script of others", async () => {
  assert.equal(await page.evaluate((url) => fetch(url).catch((error) => error.name), ACS), "TypeError");
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.append("document.title = 'injected'");
    document.body.append(script);
  }).catch(() => {});
  assert.equal(await page.title(), "acsauth sample client");
  const blocked = troubles.splice(0);
  assert.ok(blocked.length > 0 && blocked.every((trouble) => /Content Security Policy|TrustedScript/.test(trouble)), blocked.join("\n"));
});

test("a token is renewed before it ends, though the user does nothing", async () => {
  await page.clock.install();
  await page.reload();
  await press(page, "Get a token");
  await says("Here is a token.");
  const renewed = page.waitForResponse(`${SERVICE}/refreshToken`);
  await page.clock.fastForward("23:50:30");
  assert.equal((await renewed).status(), 200);
});

test("the user signs out and can come back", async () => {
  await press(page, "Sign out");
  await page.getByText("Sign in to chat and call.").waitFor();
  await shoot("signed-out");
  await press(page, "Sign in");
  await page.getByRole("button", { name: "Cancel" }).click();
  await says("You did not sign in.");
  await press(page, "Sign in");
  await page.getByRole("button", { name: "Somebody" }).click();
  await signedIn();
});
