// Checks the gateway's assertion in Node, with nothing but its own crypto.
import { createPublicKey, verify as check } from "node:crypto";

// Throws for anything else, so that `verify(req.headers["x-gateway-assertion"], …)` is all there is to it.
export function verify(assertion, jwks, issuer, audience, now = Date.now() / 1000) {
  // a request without the header, perhaps around the gateway, or with two of them
  if (typeof assertion !== "string") throw new Error("no assertion");
  const [head, body, signature] = assertion.split(".");
  const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
  const { alg, kid } = read(head);
  const key = jwks.keys.find((each) => each.kid === kid && each.kty === "EC" && each.crv === "P-256");
  if (alg !== "ES256" || !key) throw new Error("not signed by the gateway");
  const options = { key: createPublicKey({ key, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  const signed = check("sha256", Buffer.from(`${head}.${body}`), options, Buffer.from(signature, "base64url"));
  const claims = read(body);
  if (!signed || claims.iss !== issuer || claims.aud !== audience) throw new Error("not signed for this app");
  if (!(claims.exp + 30 > now) || !(claims.nbf - 30 < now)) throw new Error("not signed for now");
  return claims; // claims.sub is the open_id
}
