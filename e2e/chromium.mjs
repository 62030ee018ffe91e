// Chromium for the scripts, trusting the local cloud's certificate and no other
// that Chromium itself would not.
import { chromium } from "playwright-core";

const { CHROMIUM, TRUSTED_KEY } = process.env;

// launch starts the browser, which ends with this process at the latest. It is
// one with a profile: in a private window, as other contexts are, Chromium keeps
// the session cookie of Entra ID from MSAL's hidden frame.
export const launch = () =>
  chromium.launchPersistentContext("", { executablePath: CHROMIUM, args: [`--ignore-certificate-errors-spki-list=${TRUSTED_KEY}`] });

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
