import { Auth } from "@auth/core";
import TikTok from "@auth/core/providers/tiktok";
import { allow, app, Browser, key, secret, tell } from "./browser.mjs";

const config = {
  basePath: "/auth",
  providers: [TikTok({ clientId: key, clientSecret: secret })],
  secret: "a secret of the app's own, for its cookies",
  trustHost: true,
};
const browser = new Browser((request) => Auth(request, config));
const { csrfToken } = await (await browser.ask("/auth/csrf")).json();
const form = new URLSearchParams({ csrfToken, callbackUrl: app });
const started = await browser.ask("/auth/signin/tiktok", { method: "POST", body: form });
const ended = await browser.ask(await allow(started.headers.get("location")));
const session = await (await browser.ask("/auth/session")).json();
tell({ name: session?.user?.name, image: session?.user?.image, returned: ended.headers.get("location") });
