package main

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The charts are plain SVG, with the font of whoever looks at them, on a white ground so that they can be read in dark surroundings.

// palette has a colour for each broker or curve; they differ for colour-blind eyes too.
var palette = []string{"#0b6e4f", "#d1495b", "#edae49", "#30638e", "#8d6a9f", "#8a8a8a", "#003d5b", "#c97b63"}

const (
	chartWidth = 860
	barHeight  = 15
	labelWidth = 90
	valueWidth = 80
	fontSize   = 12
)

type svg struct{ strings.Builder }

func (s *svg) open(width, height int) {
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="%d">`+"\n",
		width, height, width, height, fontSize)
	fmt.Fprintf(s, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
}

func (s *svg) text(x, y float64, anchor, weight, content string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s" fill="#222222">%s</text>`+"\n", x, y, anchor, weight, html.EscapeString(content))
}

func (s *svg) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

// barChart has a block of bars for each line, scaled for itself, with a bar for each broker.
func barChart(title string, names []string, lines []line) string {
	height := 40
	for _, ln := range lines {
		height += 30 + barHeight*len(ln.medians)
	}
	var s svg
	s.open(chartWidth, height)
	s.text(10, 22, "start", "bold", title)
	y := 40.0
	for _, ln := range lines {
		y += 14
		s.text(10, y, "start", "bold", ln.scenario+": "+ln.metric.name)
		y += 6
		most := 0.0
		for _, v := range ln.medians {
			most = max(most, v)
		}
		for i, name := range names {
			v, ok := ln.medians[name]
			if !ok {
				continue
			}
			width := max(v/most*(chartWidth-labelWidth-valueWidth), 1)
			s.text(labelWidth-6, y+barHeight-4, "end", "normal", name)
			fmt.Fprintf(&s, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, width, barHeight-3, palette[i%len(palette)])
			s.text(labelWidth+width+5, y+barHeight-4, "start", "normal", figure(v))
			y += barHeight
		}
		y += 10
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// curve is one line of a line chart. Its points are ordered by x.
type curve struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// lineChart has a logarithmic x axis, and a y axis from 0.
func lineChart(title, xName, yName string, curves []curve) string {
	const (
		height = 360
		left   = 70.0
		right  = 640.0
		top    = 40.0
		bottom = 310.0
	)
	var s svg
	s.open(chartWidth, height)
	s.text(10, 22, "start", "bold", title)
	var xs []float64
	most := 0.0
	for _, c := range curves {
		for _, p := range c.points {
			xs, most = append(xs, p.x), max(most, p.y)
		}
	}
	if len(xs) == 0 || most <= 0 {
		s.text(left, top+20, "start", "normal", "nothing was measured")
		s.WriteString("</svg>\n")
		return s.String()
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	low, high := math.Log(xs[0]), math.Log(xs[len(xs)-1])
	at := func(p point) (x, y float64) {
		share := 0.5
		if high > low {
			share = (math.Log(p.x) - low) / (high - low)
		}
		return left + share*(right-left), bottom - p.y/most*(bottom-top)
	}
	for i := range 5 {
		v := most * float64(i) / 4
		_, y := at(point{xs[0], v})
		s.line(left, y, right, y, "#dddddd")
		s.text(left-6, y+4, "end", "normal", figure(v))
	}
	for _, v := range xs {
		x, _ := at(point{v, 0})
		s.line(x, bottom, x, bottom+4, "#888888")
		s.text(x, bottom+18, "middle", "normal", grouped(int(v)))
	}
	s.text((left+right)/2, height-8, "middle", "normal", xName)
	s.text(left, top-6, "start", "normal", yName)
	for i, c := range curves {
		s.curve(c, palette[i%len(palette)], at)
		y := top + 20 + float64(i)*18
		s.line(right+15, y-4, right+35, y-4, palette[i%len(palette)])
		s.text(right+40, y, "start", "normal", c.name)
	}
	s.WriteString("</svg>\n")
	return s.String()
}

func (s *svg) curve(c curve, colour string, at func(point) (x, y float64)) {
	var path []string
	for _, p := range c.points {
		x, y := at(p)
		path = append(path, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, colour)
	}
	fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
}
