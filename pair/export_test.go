package pair

// Speaking returns c for a member that speaks another version of the protocol.
func (c Config) Speaking(version int) Config {
	c.version = version
	return c
}
