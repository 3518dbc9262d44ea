// Writes what is made from the schema of the configuration: docs/configuration.md and samples/serve.yaml. Run it after the schema
// was changed: npm run docs:config
import { writeFileSync } from 'node:fs';
import { commentedConfig, configReference } from '../dist/server/config-text.js';

writeFileSync('docs/configuration.md', configReference());
writeFileSync('samples/serve.yaml', commentedConfig());
