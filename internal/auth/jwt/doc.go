// Package jwt is the auth.Backend for JSON Web Tokens (RFC 7519), which clients send as their password.
//
// Keys come from a JWKS at a URL, from a JWKS file, from PEM files, or are a shared secret. A token that a key of the
// set has not signed with an allowed algorithm, that has another issuer or audience, or whose time is not now, is denied; a
// password that is no token is not for this backend. The client is disconnected when its token ends.
//
// It does not decrypt tokens (JWE), does not ask the issuer about a token (RFC 7662), and trusts no key that a token
// names or brings along (jku, jwk, x5u, x5c). It reads no files.
//
// With a URL there is one goroutine, which fetches the keys and ends with Close.
//
//	b, err := jwt.New(jwt.Options{JWKSURL: "https://id.example.com/keys", Issuer: "https://id.example.com", UsernameClaim: "sub"})
package jwt
