package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// item is one thing on sale.
type item struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Cents int64  `json:"cents"`
}

// line is one line of a cart.
type line struct {
	ID    int `json:"id"`
	Count int `json:"count"`
}

var (
	adjectives = []string{"small", "round", "wooden", "heavy", "green", "antique", "folding", "striped"}
	nouns      = []string{"table", "chair", "lamp", "shelf", "carpet", "mirror", "bench", "clock"}
	discounted = regexp.MustCompile(`(?i)^(small|round|green).*(table|lamp|mirror) [0-9]*7$`)
)

func inventItems(count int) []item {
	items := make([]item, count)
	for i := range items {
		name := adjectives[i%len(adjectives)] + " " + nouns[i/len(adjectives)%len(nouns)] + " " + strconv.Itoa(i)
		items[i] = item{ID: i, Name: name, Cents: int64(500 + i*37%90000)}
	}
	return items
}

// priceCart sums a cart in cents; names that match the discount pattern are a tenth cheaper.
func priceCart(items []item, lines []line) int64 {
	var sum int64
	for _, l := range lines {
		it := items[l.ID%len(items)]
		cents := it.Cents * int64(l.Count)
		if discounted.MatchString(it.Name) {
			cents -= cents / 10
		}
		sum += cents
	}
	return sum
}

// chargeCard signs the charge, which costs CPU, and waits for the bank, which costs none.
func chargeCard(card string, cents int64) string {
	signature := []byte(card + strconv.FormatInt(cents, 10))
	for range 1500 {
		mac := hmac.New(sha256.New, []byte(card))
		mac.Write(signature)
		signature = mac.Sum(signature[:0])
	}
	time.Sleep(20 * time.Millisecond)
	return hex.EncodeToString(signature)
}

// rankItems orders the catalogue by how many trigrams of the search a name holds.
func rankItems(items []item, wanted string) []item {
	scores := make(map[int]int, len(items))
	for _, it := range items {
		scores[it.ID] = commonTrigrams(it.Name, wanted)
	}
	ranked := append([]item(nil), items...)
	sort.SliceStable(ranked, func(a, b int) bool { return scores[ranked[a].ID] > scores[ranked[b].ID] })
	return ranked
}

func commonTrigrams(name, wanted string) int {
	count := 0
	for i := 0; i+3 <= len(wanted); i++ {
		if strings.Contains(name, wanted[i:i+3]) {
			count++
		}
	}
	return count
}
