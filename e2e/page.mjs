// The page of the local cloud in Chromium: a newcomer's way through it, with the
// keyboard alone, on a narrow screen, in the dark, and without scripts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { contrasts, press, unnamed } from "./accessibility.mjs";
import { launch, watch } from "./chromium.mjs";

const { DELETED, PAGE, LOCAL_PROCESS, SCREENSHOTS } = process.env;

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const troubles = watch(page);
  await page.goto(PAGE);
  return { page, troubles, close: () => context.close() };
}

const shoot = (page, name) => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });

async function says(page, text) {
  await page.locator("#notice", { hasText: text }).waitFor();
}

test("a newcomer's way, with the keyboard alone", async () => {
  const { page, troubles, close } = await open({ colorScheme: "light" });
  assert.equal(await page.getByRole("status").count(), 1);
  await press(page, "Call getUser");
  await says(page, "getUser answered 401 Unauthorized.");
  await press(page, "Sign in as Alice Teams");
  await says(page, "Alice Teams is signed in.");
  assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Sign in as Alice Teams", "the focus stays");
  await press(page, "Access token for the service, decoded");
  await page.getByRole("cell", { name: "access_as_user" }).waitFor();
  await page.getByRole("cell", { name: /^good until: .* in \d/ }).waitFor();

  for (const [name, answer] of [
    ["getUser", "201 Created"], ["getUser", "200 OK"], ["getToken", "200 OK"], ["refreshToken", "200 OK"],
    ["exchangeToken", "200 OK"], ["user", "200 OK"], ["token", "201 Created"], ["health", "200 OK"], ["openapi", "200 OK"],
  ].filter(([name]) => !DELETED.split(",").includes(name))) {
    await press(page, `Call ${name}`);
    await says(page, `${name} answered ${answer}.`);
  }
  await press(page, "Call getToken");
  await says(page, "getToken answered 200 OK.");
  await page.locator("#answer-part pre", { hasText: '"communicationUserId"' }).first().waitFor();
  await press(page, "ACS token that came back, decoded");
  await page.getByRole("cell", { name: "chat,voip" }).waitFor();
  await page.locator("#identities-part tr", { hasText: "Alice Teams" }).getByText("exists").waitFor();
  assert.match(await page.locator("#requests-acs").innerText(), /issueAccessToken/);
  assert.match(await page.locator("#requests-entra").innerText(), /token/);
  await shoot(page, "light");
  await press(page, "Call deleteUser");
  await says(page, "deleteUser answered 204 No Content.");
  await page.locator("#identities-part tr", { hasText: "Alice Teams" }).getByText("deleted").waitFor();
  assert.deepEqual(troubles, []);
  await close();
});

test("knobs are turned and cleared", async () => {
  const { page, troubles, close } = await open();
  await press(page, "Sign in as Bob Unlicensed");
  await says(page, "Bob Unlicensed is signed in.");
  await page.getByLabel("Where").selectOption("acs/createIdentity");
  await page.getByLabel("Status").fill("503");
  await press(page, "Set the fault");
  await says(page, "Set: acs/createIdentity:status=503");
  await press(page, "Call getUser");
  await says(page, "getUser answered 503 Service Unavailable.");
  await page.locator("#requests-acs tr", { hasText: "acs/createIdentity:status=503" }).first().waitFor();
  await press(page, "Clear acs/createIdentity:status=503");
  await says(page, "That knob is cleared.");
  assert.equal(await page.evaluate(() => document.activeElement.id), "knobs-title", "the focus finds a place");
  await page.getByLabel("Latency").fill("soon");
  await press(page, "Set the fault");
  await says(page, 'latency: expected a duration such as 2s or 300ms, got "soon"');
  await page.getByLabel("Ahead by").fill("10m");
  await press(page, "Set the clock");
  await says(page, "Set: entra:skew=10m");
  await press(page, "Clear all");
  await says(page, "All knobs are cleared.");
  await press(page, "Roll the keys");
  await says(page, "Set: entra:rollover=now");
  await press(page, "Kill the handler and start it again");
  await says(page, "The handler was killed and started again.");
  await press(page, "Call getUser");
  await says(page, "getUser answered 201 Created.");
  assert.deepEqual(troubles, []);
  await close();
});

test("what the handler answers shows as text, whatever it is", async () => {
  const { page, troubles, close } = await open();
  await press(page, "More about the call of getToken");
  const form = page.locator("li", { has: page.getByRole("button", { name: "Call getToken" }) });
  await form.getByLabel("Path and query").fill("/api/%3Cscript%3Ealert(1)%3C/script%3E?a=%3Cimg%20src=x%20onerror=alert(1)%3E");
  await form.getByLabel("Body, JSON").fill("<img src=x onerror=alert(1)>");
  await press(page, "Call getToken");
  await page.locator("#answer-part").getByText("404 Not Found").waitFor();
  assert.equal(await page.locator("#answer-part img, #answer-part script").count(), 0);
  assert.deepEqual(troubles, []);
  await close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`at 360 pixels, ${colorScheme}`, async () => {
    const { page, troubles, close } = await open({ colorScheme, viewport: { width: 360, height: 740 } });
    await press(page, "Sign in as Alice Teams");
    await says(page, "Alice Teams is signed in.");
    await press(page, "Call getToken");
    await says(page, "getToken answered 200 OK.");
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    assert.equal(await page.evaluate(() => document.scrollingElement.scrollWidth), 360, "nothing sticks out");
    await shoot(page, `narrow-${colorScheme}`);

    const faint = await page.evaluate(contrasts);
    assert.deepEqual(faint, [], "text that is too faint to read");
    const nameless = await unnamed(page);
    assert.deepEqual(nameless, []);
    const small = await page.evaluate(() => [...document.querySelectorAll("button, select, input:not([type=checkbox]):not([type=hidden])")]
      .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24).map((e) => e.outerHTML));
    assert.deepEqual(small, []);
    assert.deepEqual(troubles, []);
    await close();
  });
}

test("without scripts it is a page at a time", async () => {
  const { page, close } = await open({ javaScriptEnabled: false });
  await page.getByRole("button", { name: "Sign in as Grace Guest" }).click();
  await says(page, "Grace Guest is signed in.");
  await page.getByRole("button", { name: "Call getUser" }).click();
  await says(page, "getUser answered 201 Created.");
  await close();
});

test("a page of another origin gets nowhere", async () => {
  const { page, close } = await open();
  await page.goto("about:blank");
  const tried = await page.evaluate(async (url) => {
    const sent = [];
    for (const [path, method, mode] of [["/local/knobs", "POST", "no-cors"], ["/local/signin", "POST", "no-cors"], ["/local/knobs", "DELETE", "cors"], ["/local/cloud", "GET", "cors"]]) {
      const body = method === "POST" ? "acs:status=503" : undefined;
      sent.push(await fetch(url + path, { method, mode, body }).then((r) => r.type, (e) => e.name));
    }
    return sent;
  }, PAGE);
  assert.deepEqual(tried, Array(4).fill("TypeError"), "nothing can be read");
  assert.deepEqual(await (await fetch(`${PAGE}/local/knobs`)).json(), [], "nothing was set");
  await close();
});

test("the stop is no trouble to an open page", async () => {
  const { page, troubles, close } = await open();
  const refreshed = page.waitForResponse(`${PAGE}/`);
  await press(page, "Refresh");
  await refreshed; // begun, that is: the stop is to let it end
  process.kill(Number(LOCAL_PROCESS), "SIGINT");
  for (let down = false; !down; ) down = await fetch(PAGE).then(() => false, () => true);
  await page.waitForTimeout(500);
  assert.deepEqual(troubles, []);
  await close();
});
