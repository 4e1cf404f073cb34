package daemon

// HalfName is argv[0] of a half of HAM.
const HalfName = halfName
