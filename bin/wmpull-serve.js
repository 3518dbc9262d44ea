#!/usr/bin/env node
import '../dist/cli/wmpull-serve.js';
