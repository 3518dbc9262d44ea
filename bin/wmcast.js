#!/usr/bin/env node
import '../dist/cli/wmcast.js';
