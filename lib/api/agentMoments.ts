// A source host and the moments of consistency groups.
import * as z from 'zod';
import { reportMoment } from '../moments/moments.ts';
import { itemOf } from './agentReports.ts';
import { parseBody } from './body.ts';
import type { Handler } from './http.ts';

const attempt = z.string().min(1).max(64);
const body = z.discriminatedUnion('state', [
  z.object({ state: z.literal('ready'), attempt }),
  z.object({ state: z.literal('frozen'), attempt, id: z.guid().toLowerCase() }),
]);

/** POST …/moment: what the machine is ready for, or has done; the answer says what comes next. */
export const reportMomentOf: Handler = async (context, request) => {
  const report = await parseBody(request, body);
  return {
    status: 200,
    body: await reportMoment(context.replication, { item: itemOf(request.params), ...report }),
  };
};
