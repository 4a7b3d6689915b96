package execution

// Backlog is how much there is to do, in the whole database.
type Backlog struct {
	Due     int // executions that nobody runs although their time has come
	Waiting int // executions that wait for something
	Workers int // processes that run executions
}
