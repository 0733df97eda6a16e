// Command promcheck tells what Prometheus thinks of metrics and of queries.
//
//	promcheck metrics   reads a scrape in the text format: what `promtool check metrics` would say of it
//	promcheck queries   reads a JSON array of PromQL: for each, as JSON, what it asks for, or what is
//	                    wrong with it
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// Asked is what one query asks for.
type Asked struct {
	// Error says why it is no query.
	Error string `json:"error,omitempty"`
	// Selectors are the metrics, each with the labels that are compared.
	Selectors []Selector `json:"selectors"`
	// Grouping are the labels by which something is grouped or joined.
	Grouping []string `json:"grouping"`
}

// Selector is a metric with the labels that are compared.
type Selector struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "promcheck:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	switch {
	case slices.Equal(arguments, []string{"metrics"}):
		return metrics(text)
	case slices.Equal(arguments, []string{"queries"}):
		return queries(text, out)
	default:
		return errors.New("takes metrics or queries")
	}
}

// Each problem is a line of the error.
func metrics(text []byte) error {
	// What the linter reads it forgives more than a scrape would.
	strict := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := strict.TextToMetricFamilies(bytes.NewReader(text)); err != nil {
		return err
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		return err
	}
	var all []error
	for _, problem := range problems {
		all = append(all, fmt.Errorf("%s: %s", problem.Metric, problem.Text))
	}
	return errors.Join(all...)
}

func queries(text []byte, out io.Writer) error {
	var all []string
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	answers := make([]Asked, 0, len(all))
	for _, query := range all {
		answers = append(answers, ask(query))
	}
	return json.NewEncoder(out).Encode(answers)
}

func ask(query string) Asked {
	asked := Asked{Selectors: []Selector{}, Grouping: []string{}}
	expression, err := parser.ParseExpr(query)
	if err != nil {
		asked.Error = err.Error()
		return asked
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			selector := Selector{Metric: node.Name, Labels: []string{}}
			for _, matcher := range node.LabelMatchers {
				if matcher.Name != model.MetricNameLabel {
					selector.Labels = append(selector.Labels, matcher.Name)
				}
			}
			asked.Selectors = append(asked.Selectors, selector)
		case *parser.AggregateExpr:
			asked.Grouping = append(asked.Grouping, node.Grouping...)
		case *parser.BinaryExpr:
			if matching := node.VectorMatching; matching != nil {
				asked.Grouping = append(asked.Grouping, matching.MatchingLabels...)
				asked.Grouping = append(asked.Grouping, matching.Include...)
			}
		}
		return nil
	})
	return asked
}
