// Chromium for the scripts, trusting the local cloud's certificate and no other
// that Chromium itself would not.
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { CHROMIUM, TRUSTED_KEY } = process.env;

const options = { executablePath: CHROMIUM, args: [`--ignore-certificate-errors-spki-list=${TRUSTED_KEY}`] };

// launch starts the browser, which ends with this process at the latest.
export const launch = () => chromium.launch(options);

// launchWithProfile starts it with a profile and returns the one context that it
// has. There the session cookie of Entra ID reaches MSAL's hidden frame: private
// windows, as other contexts are, and some builds of Chromium block it.
export async function launchWithProfile() {
  const dir = await mkdtemp(join(tmpdir(), "profile-"));
  await mkdir(join(dir, "Default"));
  const preferences = { profile: { block_third_party_cookies: false, cookie_controls_mode: 0 } };
  await writeFile(join(dir, "Default", "Preferences"), JSON.stringify(preferences));
  return chromium.launchPersistentContext(dir, options);
}

// watch returns a list to which what goes wrong in a page is added: errors and
// warnings in its console, and errors that nobody caught.
export function watch(page) {
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) troubles.push(`${message.type()}: ${message.text()} ${message.location().url}`);
  });
  return troubles;
}
