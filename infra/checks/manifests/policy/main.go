// What the network policy agent of the VPC CNI makes of the address blocks of a policy: keys of an eBPF trie, whose prefix is
// at most as long as an address. The kernel refuses a longer one, and the agent then enforces nothing for the pod.
//
// The argument is the family of the cluster, ipv4 or ipv6. The input is a JSON array of objects with `cidr` and `except`; the
// output is the length of each prefix, one a line.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-network-policy-agent/api/v1alpha1"
	"github.com/aws/aws-network-policy-agent/pkg/fwruleprocessor"
	"github.com/aws/aws-network-policy-agent/pkg/logger"
)

type block struct {
	Cidr   v1alpha1.NetworkAddress
	Except []v1alpha1.NetworkAddress
}

func main() {
	log.SetFlags(0)
	logger.New("error", "stderr", 1, 1)
	var blocks []block
	if err := json.NewDecoder(os.Stdin).Decode(&blocks); err != nil {
		log.Fatal(err)
	}
	node, mask, six := "10.0.0.1", "/32", os.Args[1] == "ipv6"
	if six {
		node, mask = "2001:db8::1", "/128"
	}
	var rules []fwruleprocessor.EbpfFirewallRules
	for _, block := range blocks {
		rules = append(rules, fwruleprocessor.EbpfFirewallRules{IPCidr: block.Cidr, Except: block.Except})
	}
	entries, err := fwruleprocessor.NewFirewallRuleProcessor(node, mask, six).ComputeMapEntriesFromEndpointRules(rules)
	if err != nil {
		log.Fatal(err)
	}
	for key := range entries {
		fmt.Println(binary.LittleEndian.Uint32([]byte(key)))
	}
}
