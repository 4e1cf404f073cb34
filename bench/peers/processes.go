package main

import "fmt"

// processVerb is what this program is started with to be one of the processes that take part.
const processVerb = "process"

// process runs one, until it is killed.
func runProcess(args []string) error {
	verbs := map[string]func(args []string) error{
		"raft":      raftProcess,
		"etcd":      etcdProcess,
		"election":  electionProcess,
		"grpc":      grpcProcess,
		"nats":      natsProcess,
		"responder": responderProcess,
	}
	if len(args) == 0 || verbs[args[0]] == nil {
		return fmt.Errorf("cannot run a process with %q", args)
	}
	return verbs[args[0]](args[1:])
}
