// Package pairtest runs process pairs in tests: real processes, killed with real signals.
//
// Invariant: a test that passes has left nothing behind, no process, no zombie, no descriptor, and no file but the
// directory of the pair's name; and nothing here waits for ever: what does not happen in time ends the test with a text
// that says what was waited for, what was seen instead, and what the members logged.
//
// The test binary plays the programs itself. TestMain hands over to [Main], which runs the tests, or, in a process that
// a test or a primary has started, the program:
//
//	func TestMain(m *testing.M) {
//		pairtest.Main(m, pairtest.Programs{
//			"bank": func(ctx context.Context) error { return newBank().Run(ctx) },
//		})
//	}
//
//	func TestABalanceSurvivesTheDeathOfThePrimary(t *testing.T) {
//		bank := pairtest.Start(t, "bank")
//		c := bank.Dial()
//		_, err := receive.Call[int64](t.Context(), c, "deposit", Deposit{"ada", 5})
//		require.NoError(t, err)
//
//		bank.Kill(bank.Primary())
//
//		balance, err := receive.Call[int64](t.Context(), c, "balance", "ada")
//		require.NoError(t, err)
//		require.EqualValues(t, 5, balance)
//	}
//
// The service must have the name of the pair, which is that of the program unless [Name] says otherwise.
//
// Methods of a [Pair] end the test when they fail, so they belong to the goroutine of the test.
package pairtest
