// The page: what its buttons do, and what it says.
import { getIdentifierRawId } from "@azure/communication-common";
import { broadcastResponseToMainFrame } from "@azure/msal-browser/redirect-bridge";
import { account, credentialOf, deleteUser, exchangeToken, getToken, open, refreshToken, signIn, signOut } from "./service.js";

const $ = (id) => document.getElementById(id);

let credential;
let renew; // gets the next token of the same kind

function use(first, renewal) {
  forget();
  show(first);
  renew = renewal;
  credential = credentialOf(first, async () => {
    try {
      const next = await renewal();
      show(next);
      return next;
    } catch (error) {
      complain(error);
      throw error;
    }
  });
}

function forget() {
  credential?.dispose();
  credential = renew = undefined;
  show({});
}

function show({ user, expiresOn }) {
  $("user").textContent = user ? getIdentifierRawId(user) : "none";
  $("until").textContent = expiresOn ? new Date(expiresOn).toLocaleString() : "none";
  $("renew").hidden = !user;
}

// What to tell the user, by the code of the service or of MSAL. Where it is not
// listed, what detail says is meant for whoever looks after the app.
const advice = {
  access_denied: "You did not sign in.",
  identity_not_found: "You have no identity. Get a token, which makes one.",
  endpoints_resolution_error: "Microsoft Entra ID can’t be reached.",
  interaction_required: "You have to sign in again.",
  invalid_token: "You have to sign in again.",
  rate_limited: "That was too often. Try again in a minute.",
  upstream_unavailable: "The service is busy. Try again in a minute.",
  user_cancelled: "You did not sign in.",
};

function say(text) {
  $("message").textContent = text;
  $("message").className = "";
  $("again").hidden = true;
}

function complain(error) {
  const { code = error.errorCode, detail = error.message, requestId } = error.problem ?? {};
  say([advice[code] ?? detail, requestId && `(Request ${requestId})`].filter(Boolean).join(" "));
  $("message").className = "error";
  $("again").hidden = code !== "interaction_required" && code !== "invalid_token";
  $("sign-in-again").onclick = () => run(() => signIn(error.problem));
}

// run does one job at a time and says how it ends.
async function run(job, done = "") {
  if (document.body.ariaBusy === "true") return;
  document.body.ariaBusy = "true";
  say("Working…");
  try {
    await job();
    say(done);
  } catch (error) {
    complain(error);
  }
  document.body.ariaBusy = "false";
}

const on = (id, job, done) => $(id).addEventListener("click", () => run(job, done));

on("sign-in", () => signIn());
on("sign-out", () => signOut());
on("get", async () => use(await getToken(), refreshToken), "Here is a token.");
on("renew", async () => use(await renew(), renew), "Here is another token.");
on("teams", async () => use(await exchangeToken(), exchangeToken), "Here is a token for you as a Teams user.");
$("delete").addEventListener("click", () => $("confirm").showModal());
on("delete-confirmed", async () => {
  await deleteUser();
  forget();
}, "Your identity is deleted.");

if (window.parent === window) {
  await run(open);
  $("name").textContent = account()?.username;
  $("signed-in").hidden = !account();
  $("signed-out").hidden = !!account();
} else {
  await broadcastResponseToMainFrame(); // in MSAL's hidden frame
}
