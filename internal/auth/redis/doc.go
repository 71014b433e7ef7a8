// Package redis is the auth.Backend that looks users up in Redis: each is a hash, whose fields are the hash of the password and
// attributes of the user.
//
// It writes nothing, and reaches for the server when the first client comes. Questions of many clients share a few
// connections. The library has one goroutine for each command under way, which ends with the context. It does not speak to clusters or sentinels.
//
//	b, err := redis.New(redis.Options{URL: "redis://127.0.0.1", Attributes: []string{"groups"}, Gate: gate})
package redis
