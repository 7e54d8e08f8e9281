import { generateCodeVerifier, generateState, TikTok } from "arctic";
import { allow, app, key, secret, tell } from "./browser.mjs";

const tiktok = new TikTok(key, secret, `${app}/callback`);
const state = generateState();
const verifier = generateCodeVerifier();
const back = new URL(await allow(tiktok.createAuthorizationURL(state, verifier, ["user.info.basic"])));
if (back.searchParams.get("state") !== state) throw new Error("another state came back");
const tokens = await tiktok.validateAuthorizationCode(back.searchParams.get("code"), verifier);
const answer = await fetch("https://open.tiktokapis.com/v2/user/info/?fields=open_id,display_name", {
  headers: { authorization: `Bearer ${tokens.accessToken()}` },
});
const { user } = (await answer.json()).data;
const fresh = await tiktok.refreshAccessToken(tokens.refreshToken());
await tiktok.revokeToken(fresh.accessToken());
const refused = await tiktok.refreshAccessToken(fresh.refreshToken()).catch((error) => error.code);
tell({ name: user.display_name, refreshed: fresh.accessToken() !== tokens.accessToken(), afterwards: refused });
