// Evaluates a formula of a ScaledObject as KEDA does: compiled against triggers that are floats, its result a float
// (ValidateAndCompileScalingModifiers and calculateScalingModifiersFormula in KEDA v2.20.2).
//
// The argument is the formula. Each line of the input is a JSON object with the value of each trigger; each line of the
// output is the metric, cut to thousandths as KEDA does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

func main() {
	log.SetFlags(0)
	var program *vm.Program
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var triggers map[string]float64
		if err := json.Unmarshal(lines.Bytes(), &triggers); err != nil {
			log.Fatal(err)
		}
		if program == nil {
			var err error
			if program, err = expr.Compile("float("+os.Args[1]+")", expr.Env(triggers)); err != nil {
				log.Fatal(err)
			}
		}
		metric, err := expr.Run(program, triggers)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(float64(int64(metric.(float64)*1000)) / 1000)
	}
}
