// Signs the user in with Microsoft Entra ID, calls the service as that user, and
// keeps a token for the ACS SDKs.
// Only signIn and signOut leave the page: a token that is renewed in the
// background must not take the user out of a call.
import { AzureCommunicationTokenCredential } from "@azure/communication-common";
import { InteractionRequiredAuthError, PublicClientApplication } from "@azure/msal-browser";
import config from "./config.js";

const msal = new PublicClientApplication({
  auth: {
    clientId: config.clientId,
    authority: config.authority,
    knownAuthorities: [new URL(config.authority).host],
    redirectUri: "/",
    postLogoutRedirectUri: "/",
  },
});

// Refusal carries the service's problem document. Where the user has to sign in,
// code is interaction_required, and scopes and claims are for signIn.
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

// open comes first. It completes a sign-in that is under way.
export async function open() {
  await msal.initialize();
  const result = await msal.handleRedirectPromise();
  if (result) msal.setActiveAccount(result.account);
}

export const account = () => msal.getActiveAccount();

export const signIn = ({ scopes = [config.scope], claims } = {}) =>
  msal.loginRedirect({ scopes, claims, account: account() ?? undefined });

export const signOut = () => msal.logoutRedirect({ account: account() });

async function accessToken(scopes) {
  try {
    return (await msal.acquireTokenSilent({ scopes })).accessToken;
  } catch (error) {
    if (!(error instanceof InteractionRequiredAuthError)) throw error;
    throw new Refusal({ code: "interaction_required", scopes, claims: error.claims });
  }
}

// call asks once more where the service is busy. That is safe with each of its
// functions.
async function call(name, headers, attempt = 1) {
  const token = await accessToken([config.scope]);
  const response = await fetch(`${config.service}/${name}`, {
    method: "POST",
    headers: { ...headers, Authorization: `Bearer ${token}` },
  }).catch(() => { throw new Refusal({ detail: "The service can’t be reached." }); });
  if (response.ok) return response.status === 204 ? undefined : response.json();

  // The CORS of Azure Functions hides Retry-After.
  const seconds = Number(response.headers.get("Retry-After")) || 5;
  const busy = response.status === 429 || response.status === 503;
  if (!busy || seconds > 30 || attempt === 2) throw new Refusal(await problemOf(response));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return call(name, headers, attempt + 1);
}

// problemOf also reads the challenge of a gateway that answers in the service's
// place, and makes do with errors of the Functions host, which have no body.
async function problemOf(response) {
  const problem = await response.json().catch(() => undefined);
  const [, challenge] = /\bclaims="([^"]+)"/.exec(response.headers.get("WWW-Authenticate") ?? "") ?? [];
  return {
    detail: `The service answered ${response.status}.`,
    ...problem,
    ...(challenge && { code: "interaction_required", claims: atob(challenge) }),
  };
}

export const getToken = () => call("getToken");
export const refreshToken = () => call("refreshToken");
export const deleteUser = () => call("deleteUser");
export const exchangeToken = async () => call("exchangeToken", { "teams-user-aad-token": await accessToken(config.teamsScopes) });

// credentialOf is what the ACS SDKs want: new ChatClient(endpoint, credential),
// callClient.createCallAgent(credential). It has renew get the next token ten
// minutes before the end of each.
export const credentialOf = ({ token }, renew) => new AzureCommunicationTokenCredential({
  token,
  refreshProactively: true,
  tokenRefresher: async () => (await renew()).token,
});
