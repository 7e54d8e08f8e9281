import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { allow, app, Browser, key, secret, tell } from "./browser.mjs";

const auth = betterAuth({
  baseURL: app,
  database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
  secret: "a secret of the app's own, for its cookies",
  socialProviders: { tiktok: { clientKey: key, clientSecret: secret, scope: ["user.info.basic"] } },
});
const browser = new Browser((request) => auth.handler(request));
const post = (path, body) =>
  browser.ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const started = await (await post("/api/auth/sign-in/social", { provider: "tiktok", callbackURL: "/" })).json();
const ended = await browser.ask(await allow(started.url));
const session = await (await browser.ask("/api/auth/get-session")).json();
const [account] = await (await browser.ask("/api/auth/list-accounts")).json();
const refreshed = await (await post("/api/auth/refresh-token", { accountId: account.id })).json();
tell({
  name: session?.user?.name,
  returned: ended.headers.get("location"),
  refreshed: Boolean(refreshed.accessToken),
});
