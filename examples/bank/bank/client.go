package bank

import (
	"context"

	"github.com/1fb4ed1c/tandem/receive"
)

// Client is an open of a bank. Its methods may be called from several goroutines. Each is applied once, whatever is
// killed meanwhile; an error says whether it may have been applied ([receive.MayBeApplied]).
type Client struct{ conn *receive.Conn }

// Dial opens the bank called name.
func Dial(ctx context.Context, name string, opts ...receive.Option) (*Client, error) {
	conn, err := receive.Dial(ctx, name, opts...)
	if err != nil {
		return nil, err
	}
	return &Client{conn}, nil
}

// Deposit puts money into an account. Errors: ErrAccount, ErrAmount, ErrVault.
func (c *Client) Deposit(ctx context.Context, account string, amount int64) (Statement, error) {
	return receive.Call[Statement](ctx, c.conn, "deposit", &Deposit{account, amount})
}

// Transfer moves money and returns the statement of the account that pays. Errors: ErrAccount, ErrAmount,
// ErrInsufficient.
func (c *Client) Transfer(ctx context.Context, from, to string, amount int64) (Statement, error) {
	return receive.Call[Statement](ctx, c.conn, "transfer", &Transfer{from, to, amount})
}

// Statement returns what an account holds: nothing, if the bank never heard of it.
func (c *Client) Statement(ctx context.Context, account string) (Statement, error) {
	return receive.Call[Statement](ctx, c.conn, "statement", account)
}

// Audit adds all balances up.
func (c *Client) Audit(ctx context.Context) (Audit, error) {
	return receive.Call[Audit](ctx, c.conn, "audit", struct{}{})
}

// Epoch counts the takeovers and switches of the bank that this client has heard of.
func (c *Client) Epoch() uint32 { return c.conn.Epoch() }

// Close ends the open. Calls under way fail.
func (c *Client) Close() error { return c.conn.Close() }
