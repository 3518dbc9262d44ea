#!/usr/bin/env node
import '../dist/cli/demo.js';
