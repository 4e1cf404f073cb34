// Package sock speaks SOCK_SEQPACKET over unix sockets, and waits for them with
// epoll, on bare descriptors.
//
// Its invariant: a packet arrives whole or not at all, and no call here blocks
// except the four whose name or context says so: [WaitReadable], [WaitReadable2],
// [Poller.Wait] and [Dial].
//
// Every descriptor it returns is non-blocking and close-on-exec. They are bare
// ints, not os.Files: they are shared with another process, which must find them
// as they are, and the hot path pays one system call, without the runtime's
// poller, per packet. The caller closes them, and closes none while another
// goroutine uses it.
package sock
