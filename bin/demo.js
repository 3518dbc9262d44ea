#!/usr/bin/env node
// The pool of threads for disks is as large as this says when it is first used, and loading a module uses it. Four
// threads are few for a server: a dead disk keeps one for each file.
process.env.UV_THREADPOOL_SIZE ??= '16';
import('../dist/cli/demo.js');
