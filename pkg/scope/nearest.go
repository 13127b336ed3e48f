package scope

// Nearest finds the word that a misspelt one was probably meant to be: at most
// a third of its letters away, and the first in the alphabet of equals; "" if
// none is near.
func Nearest(misspelt string, words []string) string {
	const longest = 64
	if len(misspelt) > longest {
		return ""
	}
	best, distance := "", min(len(misspelt)/3, 4)+1
	for _, word := range words {
		d := editDistance(misspelt, word)
		if d < distance || d == distance && best != "" && word < best {
			best, distance = word, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
