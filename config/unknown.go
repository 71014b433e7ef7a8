package config

import "fmt"

// unknown returns the mistake of a word that is no option, with the one that it may
// stand for.
func (t *table) unknown(word string) error {
	const near = 2 // letters that may be wrong
	best, distance := "", near+1
	for name := range t.words {
		d := editDistance(word, name)
		if d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if distance > near || distance >= len(word)/2 {
		return expected("an option, not %q", word)
	}
	return problem(fmt.Sprintf("expected an option, not %q; did you mean %s?", word, best))
}

// editDistance is the number of letters to insert, delete or replace to make b of a.
// Words of which one is much longer are not compared.
func editDistance(a, b string) int {
	const far = 64
	if len(a) > far || len(b) > far {
		return far
	}
	row := make([]int, len(b)+1) // row[j]: distance of the prefix of a so far to b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
