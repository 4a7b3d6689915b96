package app

import (
	"context"
	"errors"
	"time"

	buspostgres "agentstudio/internal/bus/postgres"
	busredis "agentstudio/internal/bus/redis"
	"agentstudio/internal/config"
	"agentstudio/internal/fault"
	"agentstudio/internal/limit"
	limitredis "agentstudio/internal/limit/redis"
	"agentstudio/internal/outbound"
	"agentstudio/internal/store"

	"github.com/redis/go-redis/v9"
)

// share chooses what processes tell each other through: Redis, else
// PostgreSQL, else nothing, since there is one process.
func (a *App) share() error {
	local := limit.NewLocal(a.now)
	a.Bus, a.limiter, a.carry = a.local, local, func(context.Context) error { return nil }
	a.outbound = local
	var database *buspostgres.Bus
	if a.db.Dialect() == store.Postgres {
		database = buspostgres.New(a.cfg.DatabaseURL.Reveal(), a.local, buspostgres.Config{Standby: a.cfg.RedisURL != "", Log: a.opts.Log})
		a.Bus, a.carry = database, database.Run
		a.outbound = store.NewRates(a.db)
	}
	if a.cfg.RedisURL == "" {
		return nil
	}
	events, err := a.redisClient(5 * time.Second)
	if err != nil {
		return err
	}
	counts, err := a.redisClient(time.Second)
	if err != nil {
		return err
	}
	var fallback busredis.Fallback
	if database != nil {
		fallback = database
	}
	bus := busredis.New(events, a.local, fallback, busredis.Config{Log: a.opts.Log})
	a.Bus, a.carry = bus, bus.Run
	shared := limitredis.New(counts, local, limitredis.Config{Log: a.opts.Log})
	a.limiter, a.outbound, a.alone = shared, shared, shared.Down
	return nil
}

// outboundLimits are the operator's, as the guarded client takes them.
func outboundLimits(cfg config.Config) ([]outbound.Limit, error) {
	given, err := cfg.Outbound()
	if err != nil {
		return nil, err
	}
	out := make([]outbound.Limit, len(given))
	for i, l := range given {
		out[i] = outbound.Limit{Host: l.Host, Credential: l.Credential, Rate: limit.Rate{Requests: l.Rate.Requests, Per: l.Rate.Per}}
	}
	return out, nil
}

// redisClient makes a client of the configured server. It connects when it is
// used.
func (a *App) redisClient(dial time.Duration) (*redis.Client, error) {
	options, err := redis.ParseURL(a.cfg.RedisURL.Reveal())
	if err != nil { // which repeats the address, and with it the password
		return nil, fault.New(fault.Invalid, "REDIS_URL cannot be read: it looks like redis://user:password@host:6379/0, or rediss:// for TLS")
	}
	options.ContextTimeoutEnabled, options.MaxRetries = true, -1 // both callers have their own answer to a failure
	options.DialTimeout = dial
	client := redis.NewClient(options)
	a.redis = append(a.redis, client)
	return client, nil
}

func (a *App) hangUp() error {
	a.tracers.shutdown()
	var errs []error
	for _, client := range a.redis {
		errs = append(errs, client.Close())
	}
	return errors.Join(errs...)
}
