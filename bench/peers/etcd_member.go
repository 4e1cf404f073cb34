package main

import (
	"fmt"
	"net/url"
	"strconv"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdProcess is the process of one member: NAME DATA CLIENT-URL PEER-URL MEMBERS TICK-MS ELECTION-MS NO-FSYNC.
func etcdProcess(args []string) error {
	if len(args) != 8 {
		return fmt.Errorf("cannot run a member of etcd with %q", args)
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = args[0], args[1], args[4]
	client, err := url.Parse(args[2])
	if err != nil {
		return err
	}
	peer, err := url.Parse(args[3])
	if err != nil {
		return err
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	tick, err := strconv.ParseUint(args[5], 10, 32)
	if err != nil {
		return err
	}
	election, err := strconv.ParseUint(args[6], 10, 32)
	if err != nil {
		return err
	}
	cfg.TickMs, cfg.ElectionMs, cfg.UnsafeNoFsync = uint(tick), uint(election), args[7] == "true"
	cfg.LogLevel = "fatal" // it tells of every lost connection
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	return <-e.Err()
}
