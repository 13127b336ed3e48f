package githubapp

import (
	"net/http"
	"sync/atomic"
	"time"
)

// A skew beyond this is told: the App JWT reaches a minute back.
const worrySkew = 30 * time.Second

type skew struct {
	last    atomic.Int64
	worried atomic.Bool
}

// Skew is GitHub's clock minus ours as its last answer showed it, to the
// second; 0 before the first answer.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.last.Load()) }

// observe measures the skew on an answer. It warns once, and again only after the clocks have agreed.
func (c *Client) observe(h http.Header) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	ahead := date.Sub(c.now()).Truncate(time.Second)
	c.skew.last.Store(int64(ahead))
	if ahead.Abs() <= worrySkew {
		c.skew.worried.Store(false)
		return
	}
	if c.skew.worried.CompareAndSwap(false, true) {
		c.log.Warn("this machine's clock and GitHub's differ; beyond a minute GitHub refuses the App", "skew", ahead.String())
	}
}
