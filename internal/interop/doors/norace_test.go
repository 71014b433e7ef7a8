//go:build !race && unix

package doors

const raceDetector = false
