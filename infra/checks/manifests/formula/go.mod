module darkroom.invalid/formula

go 1.24

// The version that KEDA v2.20.2 evaluates formulas with.
require github.com/expr-lang/expr v1.17.8
