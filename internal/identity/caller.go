package identity

import "context"

type callerKey struct{}

// WithCaller returns a context that carries the caller, for stores that can be
// asked on behalf of the user alone.
func WithCaller(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerFor returns the caller that ctx carries, or ErrNeedsCaller when there is
// none or it is not user.
func CallerFor(ctx context.Context, user User) (Caller, error) {
	caller, ok := ctx.Value(callerKey{}).(Caller)
	if !ok || caller.User != user {
		return Caller{}, ErrNeedsCaller
	}
	return caller, nil
}
