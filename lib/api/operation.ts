// One operation of the API as one value: routing, authorization, validation, the OpenAPI document and docs/api-coverage.md all read
// the same table (operations.ts), so none of them can say something else than what happens.
import type * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { Role } from '../auth/caller.ts';
import type { ApiContext, ApiResponse, RoutedRequest } from './http.ts';

export type Verb = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** Who may call: a role and those above it, enrolled hosts (and Owners), or anyone (the body proves who it is). */
export type Access = Role | 'Host' | 'Anyone';

/** `works`; `other` = belongs to VMware or Azure-to-Azure, answered with 400. */
export type OperationState = 'works' | 'other';

interface About {
  /** `Group_method` as Site Recovery's clients name it, or our own name in the same form. */
  id: string;
  verb: Verb;
  /** Begins below the vault for `scope: 'vault'`, at the root otherwise. Parameters in braces. */
  path: string;
  scope: 'vault' | 'service';
  /** One line for people. */
  summary: string;
  access: Access;
  state: OperationState;
  /** `job` = long-running: 202 with the URLs to poll. */
  answers: 'resource' | 'page' | 'job' | 'nothing';
  /** Schema of the resource, or of one entry of the page. */
  answer?: z.ZodType;
  /** Query parameters besides api-version. */
  query?: Readonly<Record<string, string>>;
  /** The body is not JSON; the handler reads its bytes. */
  isBinary?: boolean;
  /** The answer carries a secret: it is never stored, not even to answer a repeated request. */
  isSecret?: boolean;
}

export interface Operation extends About {
  /** Undefined: the operation takes no body, and ignores one. */
  body: z.ZodType | undefined;
  handler: (context: ApiContext, request: RoutedRequest) => Promise<ApiResponse>;
}

/** What most operations have in common is the default: in the vault, working. */
export interface Definition<B>
  extends Omit<About, 'scope' | 'state'>, Partial<Pick<About, 'scope' | 'state'>> {
  body?: z.ZodType<B>;
  handler: (context: ApiContext, request: RoutedRequest & { body: B }) => Promise<ApiResponse>;
}

export function operation<B = undefined>({ body, handler, ...about }: Definition<B>): Operation {
  return {
    scope: 'vault',
    state: 'works',
    ...about,
    body,
    // The pipeline parses the body by this very schema before it calls the handler.
    handler: (context, request) => handler(context, request as RoutedRequest & { body: B }),
  };
}

/** An operation of another scenario: 400 with the reason, whatever is sent. */
export function otherScenario(
  about: Pick<About, 'id' | 'verb' | 'path' | 'access'> & { reason: string },
): Operation {
  const { reason, ...rest } = about;
  return {
    ...rest,
    ...{ scope: 'vault', state: 'other', answers: 'nothing', summary: reason, body: undefined },
    handler: async () => {
      throw new LifeboatError('ScenarioUnsupported', reason, { target: about.id });
    },
  };
}
