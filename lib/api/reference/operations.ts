// The API about itself: the OpenAPI document and the page for people. Both are public: they say nothing that the repository does not.
import { operation } from '../operation.ts';
import type { Operation } from '../operation.ts';
import { referenceHtml } from './html.ts';
import { openApiDocument } from './openapi.ts';
import type { Json } from './openapi.ts';

/** The page may load nothing and run nothing. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

export function referenceOperations(all: () => readonly Operation[]): Operation[] {
  // Made once: the table does not change while the process lives.
  let document: Json | undefined;
  let page: string | undefined;
  const documentOf = (): Json => (document ??= openApiDocument(all()));
  return [
    operation({
      ...{ id: 'Reference_OpenApi', verb: 'GET', path: '/openapi.json', scope: 'service', access: 'Anyone' },
      ...{ answers: 'nothing', summary: 'This document.' },
      handler: async () => ({ status: 200, body: documentOf() }),
    }),
    operation({
      ...{ id: 'Reference_Html', verb: 'GET', path: '/docs', scope: 'service', access: 'Anyone' },
      ...{ answers: 'nothing', summary: 'The reference as a page for people.' },
      handler: async () => ({
        status: 200,
        headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy },
        body: (page ??= referenceHtml(all(), documentOf())),
      }),
    }),
  ];
}
