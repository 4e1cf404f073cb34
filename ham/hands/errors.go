package hands

import "errors"

// errClosed says that Close has been called.
var errClosed = errors.New("hands are closed")
