//go:build race

package receive

const raceDetector = true
